"""The parser of each format."""

import pytest
from fpdf import FPDF

from functions.ingest.block import Block
from functions.ingest.errors import Corrupt, Encrypted, Scanned
from functions.ingest.formats import code, csv, docx, html, json, markdown, pdf, text
from tests.support import document_files


def stored(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    return str(tmp_path / "file")


def test_a_pdf_gives_its_paragraphs_with_their_pages(tmp_path):
    path = stored(tmp_path, document_files.pdf(["The first page.", "The second page."]))

    assert list(pdf.read(path)) == [Block("paragraph", "The first page.", page=1), Block("paragraph", "The second page.", page=2)]


def test_the_outline_of_a_pdf_gives_its_headings(tmp_path):
    path = stored(tmp_path, document_files.pdf(["One.", "Two."], headings=True))

    assert [block for block in pdf.read(path) if block.kind == "heading"] == [
        Block("heading", "Part 1", level=1, page=1),
        Block("heading", "Part 2", level=1, page=2),
    ]


def test_the_lines_of_a_pdf_are_joined_to_paragraphs(tmp_path):
    long = " ".join(["many words of one sentence go over several lines"] * 6) + "."
    path = stored(tmp_path, document_files.pdf([f"{long}\nShort end.\n{long}"]))

    assert [len(block.text.splitlines()) for block in pdf.read(path)] == [1, 1]


def test_the_outline_of_a_pdf_gives_headings_of_six_levels_and_none_without_a_title(tmp_path):
    document = FPDF()
    document.set_font("Helvetica")
    document.add_page()
    for level, title in [*enumerate("ABCDEFG"), (0, " ")]:
        document.start_section(title, level=level)
    document.cell(text="One.")
    path = stored(tmp_path, bytes(document.output()))

    assert [(block.text, block.level) for block in pdf.read(path)] == [*zip("ABCDEF", range(1, 7), strict=True), ("One.", 0)]


@pytest.mark.parametrize(("length", "paragraphs"), [(8, 1), (7, 2)])
def test_a_sentence_ends_a_paragraph_of_a_pdf_if_it_ends_before_four_fifths_of_the_line(tmp_path, length, paragraphs):
    lines = ["x" * 10, "x" * (length - 1) + ".", "y" * 10, "y" * 9 + ".", "z" * 10]
    path = stored(tmp_path, document_files.pdf(["\n".join(lines)]))

    assert len(list(pdf.read(path))) == paragraphs


def test_a_title_in_the_outline_of_a_pdf_that_ends_in_half_a_character_is_left_out(tmp_path):
    content = document_files.pdf(["One.", "Two."], headings=True)
    cut = content.replace(b"(Part 1)", b"(\xfe\xff\0A\xd8=)")
    read = [(block.kind, block.text) for block in pdf.read(stored(tmp_path, cut))]

    assert (cut != content, read) == (True, [("paragraph", "One."), ("heading", "Part 2"), ("paragraph", "Two.")])


def test_a_pdf_without_text_counts_as_scanned(tmp_path):
    with pytest.raises(Scanned):
        list(pdf.read(stored(tmp_path, document_files.pdf(["", ""]))))


def test_a_pdf_with_a_password_is_refused(tmp_path):
    with pytest.raises(Encrypted):
        list(pdf.read(stored(tmp_path, document_files.pdf(["Secret."], password="open sesame"))))


def test_a_broken_pdf_is_refused(tmp_path):
    with pytest.raises(Corrupt):
        list(pdf.read(stored(tmp_path, b"%PDF-1.7 and no more")))


def test_a_docx_gives_headings_and_paragraphs():
    content = document_files.docx(("Heading1", "Leave"), ("", "Thirty days a year."))

    assert list(docx.read(content)) == [Block("heading", "Leave", level=1), Block("paragraph", "Thirty days a year.")]


def test_a_broken_docx_is_refused():
    with pytest.raises(Corrupt):
        list(docx.read(document_files.zipped({"word/document.xml": "<broken"})))


PAGE = """<html><head><title>T</title><script>alert(1)</script></head><body><nav>Menu</nav>
<h1>Head <b>bold</b></h1>loose<p>A <i>para</i>
graph.</p>tail<pre>x
  y</pre><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><b>2</b> more</td></tr></table><footer>Imprint</footer></body></html>"""


def test_an_html_page_gives_its_structure_without_navigation():
    assert list(html.read(PAGE)) == [
        Block("heading", "Head bold", level=1),
        Block("paragraph", "loose"),
        Block("paragraph", "A para graph."),
        Block("paragraph", "tail"),
        Block("code", "x\n  y"),
        Block("table", "a | b\n1 | 2 more"),
    ]


def test_an_html_page_with_a_main_element_gives_only_that():
    assert list(html.read("<body><div>Ads</div><main><p>News</p></main></body>")) == [Block("paragraph", "News")]


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("<p>Ads</p><article>News</article>", ["News"]),
        ("<p>Ads</p><main><article>One</article><article>Two</article></main>", ["One", "Two"]),
        ("<p>Blog</p><article>One</article><article>Two</article>", ["Blog", "One", "Two"]),
        ("<p>Ads</p><article>News<article>A comment</article></article>", ["News", "A comment"]),
        ("<p>Ads</p><main> </main><main>News</main>", ["News"]),
        ("<p>News</p><main></main><article></article>", ["News"]),
    ],
)
def test_an_html_page_gives_its_only_main_part_or_all_of_its_body(page, texts):
    assert [block.text for block in html.read(f"<body>{page}</body>")] == texts


@pytest.mark.parametrize("name", ["select", "FORM", "button", "script", "title", "textarea", "svg"])
def test_a_tag_that_a_markdown_text_mentions_does_not_take_the_rest_of_the_text(name):
    read = list(markdown.read(f"# A\n\nUse <{name} id=x> here.\n\n## B\n\nEnd."))

    assert [block.text for block in read] == ["A", f"Use <{name} id=x> here.", "B", "End."]


@pytest.mark.parametrize("name", ["main", "article"])
def test_a_tag_that_a_markdown_text_mentions_does_not_take_the_text_before_it(name):
    read = list(markdown.read(f"# A\n\nStart.\n\nUse <{name}> here.\n"))

    assert [block.text for block in read][:2] == ["A", "Start."]


def test_a_script_in_markdown_is_left_out():
    assert list(markdown.read("One.\n\n<script>\nx()\n</script>\n\nTwo.")) == [Block("paragraph", "One."), Block("paragraph", "Two.")]


def test_markdown_gives_headings_code_and_tables():
    source = "---\ntitle: x\n---\n# A\n\nText\nhere.\n\n## B\n\n```py\nx = 1\n```\n\n|a|b|\n|-|-|\n|1|2|\n"

    assert list(markdown.read(source)) == [
        Block("heading", "A", level=1),
        Block("paragraph", "Text here."),
        Block("heading", "B", level=2),
        Block("code", "x = 1"),
        Block("table", "a | b\n1 | 2"),
    ]


def test_html_in_markdown_is_read_as_html():
    assert list(markdown.read("<div>In a <i>box</i></div>\n\nand <b>bold</b>.")) == [
        Block("paragraph", "In a box"),
        Block("paragraph", "and bold."),
    ]


@pytest.mark.parametrize("between", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "rows",
    [
        ['"He said, ""no"", and left"-4', '"One, two"-5', "x-6"],
        ['"no ""yes"", ""no""; ""a | b"""-4', "plain-5"],
        ['"1,5; 2"-4', "plain-5", '"a, b"-6'],
    ],
)
def test_sentences_in_the_cells_of_a_table_do_not_change_its_columns(between, rows):
    (table,) = csv.read("\n".join(row.replace("-", between) for row in ["note-size", *rows]))
    cells = [row.rpartition("-")[0].removeprefix('"').removesuffix('"').replace('""', '"') for row in rows]

    assert table.text.splitlines() == ["note | size", *(f"{cell} | {number}" for number, cell in enumerate(cells, 4))]


def test_the_columns_of_a_table_below_its_title_are_found():
    (table,) = csv.read('Prices, 2026\n"a; b";"1,5"\n"c";"2,5"\nd;e')

    assert table.text.splitlines()[1:] == ["a; b | 1,5", "c | 2,5", "d | e"]


def test_the_lines_of_a_cell_are_one_line_of_a_table():
    assert list(csv.read('name,note\nAda,"two\nlines"')) == [Block("table", "name | note\nAda | two lines")]


def test_a_cell_of_a_table_may_be_longer_than_128_kib():
    (table,) = csv.read(f"name,note\nAda,{'x' * 200_000}\nGrace,short")

    assert table.text.split("\n") == ["name | note", f"Ada | {'x' * 200_000}", "Grace | short"]


def test_a_quote_inside_a_cell_may_come_first_beyond_the_part_that_tells_the_dialect():
    rows = [f'{number},"a plain, quoted note"' for number in range(400)]
    tables = list(csv.read("\n".join(["id,note", *rows, '400,"She said ""yes, now""\nand left"'])))

    assert tables[-1].text.split("\n")[-1] == '400 | She said "yes, now" and left'


@pytest.mark.parametrize("between", ["\u2028", "\x85", "\x0b", "\x1e"])
def test_only_a_line_break_ends_a_row_of_a_table(between):
    assert list(csv.read(f"name,note\nAda,two{between}lines")) == [Block("table", "name | note\nAda | two lines")]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_the_rows_of_a_table_end_as_in_any_system(line_end):
    assert list(csv.read(line_end.join(["name,note", "Ada,one"]))) == [Block("table", "name | note\nAda | one")]


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_each_segment_of_a_table_has_the_column_names(between):
    rows = [f"{number}{between}=SUM(A1)" for number in range(120)]

    read = list(csv.read("\n".join([f"id{between}formula", *rows])))

    assert [block.text.split("\n")[:2] for block in read] == [["id | formula", f"{first} | =SUM(A1)"] for first in (0, 50, 100)]


def test_json_gives_each_value_with_its_path():
    assert list(json.read('{"a": {"b": [1, true]}, "c": "text"}')) == [Block("paragraph", "a.b[0]: 1\na.b[1]: true\nc: text")]


def test_code_is_split_at_definitions():
    read = list(code.read("import os\n\n\ndef first():\n    pass\n\n\nclass Second:\n    x = 1\n"))

    assert [(block.kind, block.level, block.text.split("\n")[0]) for block in read] == [
        ("code", 0, "import os"),
        ("heading", 1, "def first"),
        ("code", 0, "def first():"),
        ("heading", 1, "class Second"),
        ("code", 0, "class Second:"),
    ]


def test_text_is_split_at_blank_lines():
    assert [block.text for block in text.read("One\r\nline.\r\n\r\nTwo.\n \n\n")] == ["One\nline.", "Two."]
