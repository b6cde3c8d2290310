from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.listeners.smtp.markup import text_of_html

PAGES = {
    "blocks and breaks": ("<h1>Alarm</h1><p>one<br/>two</p><div><div>three</div></div>", "Alarm\none\ntwo\nthree"),
    "blanks": ("<p>  a \n\t b  <i> c</i>&nbsp;&nbsp;d</p>", "a b c d"),
    "what nobody reads": (
        "<head><title>T</title><style>p{}</style></head><script>if (a<b) x()</script><!-- no --><p>yes</p>",
        "yes",
    ),
    "a comment without end": ("one<!-- two <p>three", "one"),
    "a script without end": ("one<script>two<p>three", "one"),
    "a > in a value": ('<p title="a>b">text</p>', "text"),
    "a quote without end": ('<p title="a>one</p><p>two</p>', "one\ntwo"),
    "names and values in any case": ("<P>see <A HREF='HTTP://x.example'>it</A></P>", "see it (HTTP://x.example)"),
    "not an address": ('<a data-href="http://x.example">it</a>', "it"),
    "a number nobody means": ("&#" + "1" * 5000 + ";", "&#" + "1" * 5000 + ";"),
    "a list": ("<ul><li>one<li>two</ul>", "- one\n- two"),
    "a table": ("<table><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></table>", "a b\nc"),
    "preformatted": ("<pre>a\nb</pre>c\nd", "a\nb\nc d"),
    "a link": ('see <a href="https://x.example/y?a=1&amp;b=2">here</a>.', "see here (https://x.example/y?a=1&b=2)."),
    "a link that shows where it leads": ('<a href="https://x.example/">https://x.example</a>', "https://x.example"),
    "a link around nothing": ('<a href="http://x.example/p"><img src=x></a>', "http://x.example/p"),
    "a link that is none": ('<a href="mailto:a@b">write</a> <a name=x>there</a></a>', "write there"),
    "entities": ("&lt;b&gt; &#8364; &copy; &bogus; AT&T", "<b> € © &bogus; AT&T"),
    "sections of Word": ("<![if !mso]>a<![endif]><![bogus[ b ]]>c<!--[if mso]>d<![endif]-->", "ac"),
    "never closed": ("<p>a<b>b<td", "ab"),
    "a bare less-than": ("a < b", "a < b"),
}


@pytest.mark.parametrize(("html", "text"), PAGES.values(), ids=PAGES)
def test_text_of_html(html: str, text: str) -> None:
    assert text_of_html(html) == text


PIECES = ["<", ">", "<!", "<![", "<!--", "-->", "]]>", "</", "<a href=", "<?", "&#", '"', "<script>", "x"]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=30).map("".join))
def test_any_markup_gives_a_text(html: str) -> None:
    assert isinstance(text_of_html(html), str)


@pytest.mark.parametrize(
    "piece", ["<!--", "<a", "<a ", "<![", "</", "<!", "<?", "&#", "<script>", "<a href='", '<a ">" ', "<pre>", "<a>x"]
)
@pytest.mark.parametrize("tail", ["", ">", '"'])
def test_hostile_markup_is_read_in_its_length(piece: str, tail: str) -> None:
    # The square of half a million would be minutes.
    begun = time.process_time()
    text_of_html(piece * (512 * 1024 // len(piece)) + tail)
    assert time.process_time() - begun < 5
