"""HTML as a person would read it aloud: text, line breaks, and where links lead.

Pure. Nothing of the markup is trusted or kept; whatever the input, a text comes out.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_SILENT = frozenset({"script", "style", "title", "template", "noscript"})
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 "
        "header hr html li main nav ol p pre section table tbody tfoot thead tr ul",
    )
)
_CELLS = frozenset({"td", "th"})
_BLANKS = re.compile(r"[ \t\r\n\f\u00a0]+")
_AROUND_BREAK = re.compile(r" *\n[ \n]*")


def text_of_html(html: str) -> str:
    """The readable text of an HTML page: one line per block, a link as `text (address)` unless it shows its address."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._silent: str | None = None  # the element we are in whose text nobody reads
        self._preformatted = 0
        self._link: tuple[str, int] | None = None  # where it leads, and the piece its text begins with

    def text(self) -> str:
        joined = re.sub(r" {2,}", " ", "".join(self._pieces))
        return _AROUND_BREAK.sub("\n", joined).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent = tag
        elif tag == "br":
            self._pieces.append("\n")
        elif tag in _BLOCKS:
            # A browser ends an unclosed <title> at <body>, too; without this the whole page would stay silent.
            self._silent = None
            self._preformatted += tag == "pre"
            self._pieces.append("\n- " if tag == "li" else "\n")
        elif tag in _CELLS:
            self._pieces.append(" ")
        elif tag == "a":
            self._link = (dict(attrs).get("href") or "", len(self._pieces))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # HTML knows no self-closing but of void elements: <a/> opens a link.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = None
        elif tag in _BLOCKS:
            self._preformatted -= tag == "pre" and self._preformatted > 0
            self._pieces.append("\n")
        elif tag == "a" and self._link is not None:
            address, begun = self._link
            self._link = None
            shown = "".join(self._pieces[begun:]).strip()
            if address.lower().startswith(("http://", "https://")) and shown.rstrip("/") != address.rstrip("/"):
                self._pieces.append(f" ({address})" if shown else address)

    def handle_data(self, data: str) -> None:
        if self._silent is None:
            self._pieces.append(data if self._preformatted else _BLANKS.sub(" ", data))

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        # The library stops with an AssertionError at a section it does not know; Word writes such.
        return self.parse_bogus_comment(i, report=False)
