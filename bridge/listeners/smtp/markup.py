"""HTML as a person would read it aloud: text, line breaks, and where links lead.

Pure. The parser of the standard library takes the square of a hostile page's length, so this reads by itself what it
needs of HTML (the tokenizer's states, WHATWG HTML §13.2.5, in short), in time that grows with the length: whatever is
never closed ends the page, as it does in a browser.
"""

from __future__ import annotations

import re
from html import unescape

# Their content is no markup; nobody reads it, either.
_SILENT = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style", "title")}
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|center|dd|div|dl|dt|fieldset|figure|footer|form|h[1-6]|header|hr|html"
    "|main|nav|ol|p|pre|section|table|tbody|tfoot|thead|tr|ul"
)
_NAME = re.compile(r"/?[A-Za-z][^\s/>]*")
_REST = re.compile(r"""(?:[^"'>]++|"[^"]*+"|'[^']*+')*+>""")  # of a tag; its quoted values may hold a >
_HREF = re.compile(r"""\shref\s*+=\s*+(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\f\u00a0]+")
_AROUND_BREAK = re.compile(r"\n[ \n]*")


def text_of_html(html: str) -> str:
    """The readable text of an HTML page: one line per block, a link as `text (address)` unless it shows its address."""
    page = _Page()
    at, quotes_close = 0, True
    while (opens := html.find("<", at)) >= 0:
        page.read(html[at:opens])
        at = opens + 1
        name = _NAME.match(html, at)
        if html.startswith("!--", at):
            end = html.find("-->", at + 1)
            at = end + 3
        elif name is not None:
            rest = _REST.match(html, name.end()) if quotes_close else None
            # A quote that never closes would hide all that follows; from here on a > ends a tag wherever it stands.
            quotes_close = rest is not None
            end = rest.end() - 1 if rest else html.find(">", name.end())
            tag = name[0].lower()
            page.tag(tag, html[name.end() : end])
            closing = _SILENT[tag].search(html, end) if tag in _SILENT else None
            if tag in _SILENT:
                end = closing.start() - 1 if closing and end >= 0 else -1
            at = end + 1
        elif html.startswith(("!", "?", "/"), at):
            end = html.find(">", at)
            at = end + 1
        else:
            page.read("<")
            continue
        if end < 0:
            return page.text()
    page.read(html[at:])
    return page.text()


class _Page:
    """The text so far."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._preformatted = 0
        self._link: tuple[str, int] | None = None  # where it leads, and the piece its text begins with

    def text(self) -> str:
        lines = re.sub(r" {2,}", " ", "".join(self._pieces)).split("\n")
        return _AROUND_BREAK.sub("\n", "\n".join(line.rstrip() for line in lines)).strip()

    def read(self, data: str) -> None:
        try:
            text = unescape(data)
        except ValueError:  # a reference to a number of more digits than Python converts
            text = data
        self._pieces.append(text if self._preformatted else _BLANKS.sub(" ", text))

    def tag(self, name: str, attributes: str) -> None:
        element = name.removeprefix("/")
        if element == "br":
            self._pieces.append("\n")
        elif element == "li":
            self._pieces.append("\n- " if name == "li" else "\n")
        elif element in ("td", "th"):
            self._pieces.append(" ")
        elif element == "a":
            self._end_link()
            href = _HREF.search(attributes) if name == "a" else None
            if href is not None:
                self._link = (unescape(href[1] or href[2] or href[3] or ""), len(self._pieces))
        elif _BLOCK.fullmatch(element):
            self._pieces.append("\n")
            if element == "pre":
                self._preformatted = max(0, self._preformatted + (1 if name == "pre" else -1))

    def _end_link(self) -> None:
        if self._link is not None:
            address, begun = self._link
            self._link = None
            shown = "".join(self._pieces[begun:]).strip()
            if address.lower().startswith(("http://", "https://")) and shown.rstrip("/") != address.rstrip("/"):
                self._pieces.append(f" ({address})" if shown else address)
