"""Text never becomes markup."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.evaluation.markup import element, page


class Collector(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def parsed(document):
    collector = Collector()
    collector.feed(document)
    collector.close()
    return collector


# HTML has no character for NUL and surrogates, and reads a carriage return as a line feed.
texts = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])) | st.sampled_from(
    ["</p><script>alert(1)</script>", "<img src=x onerror=y>", "&lt;b&gt;", "'\"><b>", "<!--", "]]>"]
)


@given(texts, texts)
def test_text_and_attributes_come_back_as_they_were(text, attribute):
    found = parsed(element("p", text, [element("b", text)], title=attribute).text)
    assert found.tags == ["p", "b"]
    assert found.attributes == [("title", attribute)]
    assert found.text == text + text


def test_elements_nest_and_empty_parts_vanish():
    made = element("div", None, [element("br"), "a & b"], class_="x", open=True, hidden=False, http_equiv="y")
    assert made.text == '<div class="x" open http-equiv="y"><br>a &amp; b</div>'


def test_data_cannot_end_its_script():
    document = page("t", element("main"), style="", scripts=["run()"], data='{"x":"</script><b>"}')
    assert parsed(document).tags.count("script") == 2
    assert "b" not in parsed(document).tags


def test_a_script_that_would_end_itself_is_refused():
    with pytest.raises(ValueError, match="closing tag"):
        page("t", None, style="", scripts=["'</script>'"], data="{}")
