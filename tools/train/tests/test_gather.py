"""The gathering of training text: each parser on a small input, with rows worked out by hand."""

import gzip
import json
import subprocess

import pytest

from lanerank_train.gather import books, compare, debian, manuals, markdown, overlap, questions
from lanerank_train.gather.origins import Places, Refused, Repository, check_licence
from lanerank_train.gather.rows import from_sections, pairs, parts, read, write
from lanerank_train.gather.table import TABLE, Source
from lanerank_train.sources import LICENCES

LONG = "This sentence has the twenty words that a passage needs, since a shorter one says too "
LONG += "little to be worth reading."


def file(text: str, path: str = "folder/file"):
    return [(path, text.encode())]


def test_every_source_has_a_licence():
    assert set(TABLE) | {"stackexchange", "wordnet"} == set(LICENCES)


def test_pairs_squeezes_cuts_and_drops_repeated_and_short_passages():
    rows = [(" a  b\n", "c\n d"), ("a b", "c d"), ("e", "x" * 3000), ("", "y y y"), ("f", "z")]
    assert list(pairs(rows, shortest=2)) == [("a b", "c d"), ("e", "x" * 2000)]


def test_parts_end_with_the_paragraph_that_reaches_140_words():
    def words(count, word):
        return " ".join([word] * count)

    a, b, c = words(130, "a"), words(10, "b"), words(100, "c")
    assert list(parts([a, b, "d"])) == [f"{a} {b}", "d"]
    assert list(parts([a, c])) == [a, c]
    first, second = words(149, "e") + " e.", words(99, "f") + " f."
    assert list(parts([f"{first} {second}"])) == [first, second]
    assert [len(p.split()) for p in parts([words(500, "g")])] == [220, 220, 60]
    assert [len(p) for p in parts(["h" * 4000])] == [1500]


def test_a_section_is_a_row_with_its_heading_and_rows_without_a_query():
    more = "m " * 150
    found = from_sections(
        [("Title", "Use", [f"{LONG} {more}".strip(), LONG]), ("Title", "Short", ["Too short."])],
        lambda title, heading: f"{heading} of {title}",
    )
    assert list(found) == [
        ("Use of Title", f"{LONG} {more}".strip()),
        ("", f"Use of Title: {LONG}"),
    ]


def test_written_rows_are_read_back(tmp_path):
    rows = [("wörd", "text"), ("", "alone")]
    assert write(rows, tmp_path / "x.jsonl.gz") == 2
    assert read(tmp_path / "x.jsonl.gz") == rows
    assert [p.name for p in tmp_path.iterdir()] == ["x.jsonl.gz"]


def test_foldoc_entries_by_its_index():
    entries = [
        "00-database-short\n     The Dictionary\n",
        "abc\n\n   <language, x> Text on a {term} " + "w" * 70 + ".\n",
        "long expression\nsynonym\n\n   1. <y> kept " + "v" * 80,
        "tiny\n\n   Short.\n",
    ]
    text = "".join(entries).encode()
    starts = [sum(map(len, entries[:i])) for i in range(4)]

    def base64(value):
        digits = ""
        while value or not digits:
            digits, value = debian.DIGITS[value % 64] + digits, value // 64
        return digits

    names = ["00-database-short", "abc", "long expression", "synonym", "tiny"]
    places = [0, 1, 2, 2, 3]
    index = "".join(
        f"{n}\t{base64(starts[i])}\t{base64(len(entries[i]))}\n"
        for n, i in zip(names, places, strict=True)
    )
    files = [("d/foldoc.dict.dz", gzip.compress(text)), ("d/foldoc.index", index.encode())]
    assert list(debian.foldoc(iter(files))) == [
        ("abc computing term", "Text on a term " + "w" * 70 + "."),
        ("what is long expression synonym", "1. <y> kept " + "v" * 80),
    ]


def test_package_descriptions():
    def package(name, synopsis, long):
        return f"Package: {name}\nDescription-md5: 0\nDescription-en: {synopsis}\n{long}\n"

    start = " " + "s" * 120 + "\n .\n"
    text = "\n".join(
        [
            package("game", "a game", f"{start} First."),
            package("game-data", "a game - data", f"{start} Same beginning."),
            package("lib-doc", "manual", " " + "t" * 130),
            package("lib-dev", "lib - development files", " " + "u" * 130),
            package("small", "small thing", " Too short."),
        ]
    )
    assert list(debian.descriptions(iter(file(text)))) == [("a game", "s" * 120 + " First.")]


def test_perlfaq_questions_without_formatting_codes():
    answer = "Use C<< a->b >> or L<the manual|perlop>, if C<$x E<lt> 1>; B<never I<both>>. " * 2
    plain = "Use a->b or the manual, if $x < 1; never both. " * 2
    text = f"=head1 NAME\n\nx\n\n=head2 How? X<index>\n\n{answer}\n\n=over 4\n\n"
    text += "=head1 AUTHOR\n\nme\n"
    assert list(debian.perlfaq(iter(file(text)))) == [("How?", plain.strip())]


def test_html_manual():
    page = f"""<html><head><title>not this</title></head><body>
    <div class="navheader"><p>Prev Next {LONG}</p></div>
    <h1>read(2) <a class="headerlink" href="#x">¶</a></h1>
    <p>{LONG.replace("words", "words<sup>1</sup>")}</p><pre>int read();</pre>
    <h2>Errors</h2>
    <dl><dt><code>EIO</code></dt><dd><p>{LONG.rstrip('.')}</p></dd></dl>
    <ul><li>an entry<li>another</ul><table><tr><td>cell</td></tr></table>
    <h2>8.2. Return values of it</h2><p>Too short.</p>
    </body></html>"""
    assert list(manuals.manuals(iter(file(page)))) == [
        ("read(2)", LONG),
        ("Errors read(2)", f"{LONG} an entry. another."),
    ]


def test_markdown_documentation():
    text = f"""...

# The `title`<a name="x"></a>

{LONG}

## Remarks

> [!NOTE]
> A **bold** [link](a.md) and *slant*\\. ![image](b.png)

[!INCLUDE [footer](c.md)]

```c
int code;
```

| table | row |
|-------|-----|

1. [!INCLUDE[opener](d.md)], {LONG}
+ an entry
  that goes on
<!-- a comment -->

### How to do the thing

Too short.
"""
    assert list(markdown.documentation(iter(file(text)))) == [
        ("The title", LONG),
        (
            "The title: Remarks",
            f"A bold link and slant. 1. opener, {LONG} an entry that goes on.",
        ),
    ]
    titled = text.replace("...", "---\ntitle: 'Front: &amp;'\n---").replace("#", "x")
    assert markdown.sections(titled)[0][:2] == ("Front: &", "Front: &")


def test_short_headings_of_documentation():
    assert markdown.query("T", "How to do it") == "How to do it"
    assert markdown.query("T", "Usage notes") == "T Usage notes"
    assert markdown.query("T", "Return Value") == "T: Return Value"
    assert markdown.query("T", "DESCRIPTION") == "T"


def test_tldr_page():
    text = """# tar

> Archiving utility.
> More information: <https://example.org>.

- E[x]tract a file:

`tar xf {{path/to/file}}`

- List `.tar` files:

`tar {{[-t|--list]}} < {{file}}`
"""
    alias = "# t\n\n> Alias of `tar`.\n\n"
    alias += "- View documentation for the original command:\n\n`tldr tar`\n"
    more = "# m\n\n> Many uses.\n\n" + "- Use:\n\n`m`\n\n" * 9
    assert list(markdown.tldr(iter(file(alias)))) == []
    assert list(markdown.tldr(iter(file(more)))) == [("Many uses", "m:" + " Use: m." * 6)]
    assert list(markdown.tldr(iter(file(text)))) == [
        (
            "Archiving utility",
            "tar: E[x]tract a file: tar xf path/to/file. List .tar files: tar [-t|--list] < file.",
        )
    ]


def test_untokenised():
    assert questions.untokenised("it was `` good '' ( 1963 ) , he 's sure .") == (
        'it was " good " (1963), he\'s sure.'
    )


def test_medquad_skips_questions_without_an_answer():
    text = f"""<Document><QAPairs>
    <QAPair><Question>What is (are) X ?</Question><Answer>{LONG}\n   It ends.</Answer></QAPair>
    <QAPair><Question>Who ?</Question><Answer/></QAPair></QAPairs></Document>"""
    assert list(questions.medquad(iter(file(text)))) == [
        ("What is (are) X?", f"{LONG} It ends.")
    ]


def test_questions_in_json_and_csv():
    qed = json.dumps({"question_text": "who", "paragraph_text": "He , of it ."})
    assert list(questions.qed(iter(file(f"{qed}\n{qed}\n")))) == [("who", "He, of it.")]
    feta = {"table_page_title": "P", "table_section_title": "S", "question": "q", "answer": "A."}
    assert list(questions.fetaqa(iter(file(json.dumps(feta))))) == [("q", "P, S: A.")]
    paper = {"1": {"QUESTION": "q?", "CONTEXTS": ["a.", "b."]}}
    assert list(questions.pubmedqa(iter(file(json.dumps(paper))))) == [("q?", "a. b.")]
    selqa = [{"question": "q", "candidates": ["x", "y", "z"], "answers": [0, 2]}]
    assert list(questions.selqa(iter(file(json.dumps(selqa))))) == [("q", "x"), ("q", "z")]
    lines = [("p/src-test.txt", b"it is a .\nb .\n"), ("p/tgt-test.txt", b"what ?\nwho ?\n")]
    assert list(questions.squad_sentences(iter(lines))) == [
        ("what?", "it is a."),
        ("who?", "b."),
    ]
    story = b'section,text\n1,"Once, there was."\n2,End.\n'
    asked = b"question_id,cor_section,question\n1,1,Who?\n2,\"1,2\",Both?\n"
    tales = [("d/questions/g/t-questions.csv", asked), ("d/section-stories/g/t-story.csv", story)]
    assert list(questions.fairytaleqa(iter(tales))) == [("Who?", "Once, there was.")]


def test_arxiv_papers_once():
    papers = [("1.2v1", "A  title", "An\nabstract"), ("1.2v2", "B", "other"), ("3.4", "C", "text")]
    text = "\n".join(json.dumps(dict(zip(("id", "title", "summary"), p))) for p in papers)
    assert list(questions.arxiv(iter(file(text)))) == [("A title", "An abstract"), ("C", "text")]


def test_openstax_module():
    text = f"""<document xmlns="http://cnx.rice.edu/cnxml"><title>Bones</title>
    <metadata><title>no</title></metadata><content>
    <para>{LONG}</para><figure><caption>no {LONG}</caption></figure>
    <section><title>Long <emphasis>bones</emphasis></title>
    <para>{LONG} <math xmlns="m"><mi>x</mi></math>Then<list><item>one</item><item>two</item></list>
    </para><note><title>Aside</title><para>Short.</para></note></section></content>
    <glossary><definition><term>diaphysis</term><meaning>the tubular shaft of a bone</meaning>
    </definition></glossary></document>"""
    assert list(books.openstax(iter(file(text)))) == [
        ("Bones", LONG),
        ("Long bones: Bones", f"{LONG} Then one two."),
        ("diaphysis", "diaphysis: the tubular shaft of a bone"),
    ]


def test_regulations_newest_text_of_a_part():
    def part(date, subject):
        return f"""<regulation xmlns="eregs"><effectiveDate>{date}</effectiveDate>
        <tableOfContents><tocSecEntry>no</tocSecEntry></tableOfContents>
        <section><subject>§ 1002.1 {subject}.</subject><paragraph><content>{LONG}
        A <ref>credit</ref>.</content></paragraph></section>
        <interpSection><title>Section 1</title><interpParagraph><title>Scope.</title>
        <content>{LONG}</content></interpParagraph></interpSection></regulation>""".encode()

    files = [("regulation/1002/b.xml", part("2018-01-01", "New"))]
    files.append(("regulation/1002/a.xml", part("2011-01-01", "Old")))
    assert list(books.regulations(iter(files))) == [
        ("New", f"{LONG} A credit."),
        ("Scope", LONG),
    ]


def test_rows_that_overlap_with_evaluation_are_left_out(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    words = " ".join(f"w{i}" for i in range(20))
    documents = [{"_id": "1", "text": words}, {"_id": "2", "text": "Not relevant, " + words[::-1]}]
    with gzip.open(folder / "corpus.jsonl.gz", "wt") as out:
        out.writelines(json.dumps(d) + "\n" for d in documents)
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "A Query?"}) + "\n")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\t1\t1\nq\t2\t0\n")
    evaluation = overlap.read(tmp_path)
    run = words.split()
    kept = [("other", "text"), ("", "A b " + " ".join(run[3:15])), ("x", words[::-1])]
    dropped = [
        ("a query", "text"),
        ("y", "NOT relevant: " + words[::-1]),
        ("z", "Before " + " ".join(run[3:16]) + " after"),
    ]
    assert list(evaluation.without([*kept, *dropped])) == kept


def test_shares_of_rows_and_passages():
    ours, theirs = [("A", "x."), ("b", "y"), ("c", "z")], [("a", "X"), ("other", "y")]
    assert compare.shares(ours, theirs) == {
        "rows of ours": 1 / 3,
        "rows of theirs": 1 / 2,
        "passages of ours": 2 / 3,
        "passages of theirs": 1.0,
    }


def repository(folder, licence: str) -> str:
    """A Git repository with one commit; returns the commit."""
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    (folder / "docs").mkdir(parents=True)
    (folder / "LICENSE").write_text(licence)
    (folder / "docs/b.md").write_text("b")
    (folder / "docs/a.md").write_text("ä\n")
    (folder / "docs/c.txt").write_text("c")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True)
    return head.stdout.decode().strip()


def test_files_of_a_repository_at_a_commit(tmp_path):
    commit = repository(tmp_path / "owner+name", "Some\nlicence 4.0")
    places = Places(tmp_path / "downloads", tmp_path)
    origin = Repository("owner/name", commit, ("docs/*.md",), ("LICENSE", "some Licence 4.0"))
    assert list(origin.open(places)) == [("docs/a.md", "ä\n".encode()), ("docs/b.md", b"b")]
    other = Repository("owner/name", commit, ("docs/*.md",), ("LICENSE", "BSD"))
    with pytest.raises(Refused, match="does not contain 'BSD'"):
        list(other.open(places))
    with pytest.raises(Refused, match="no file matches"):
        list(Repository("owner/name", commit, ("src/*",), None).open(places))


def test_a_licence_with_a_condition_more_is_refused():
    _, words = TABLE["openstax"].origins[0].licence
    check_licence("x", "Creative Commons\nAttribution  4.0 International", words)
    for other in ("Attribution-NonCommercial-ShareAlike 4.0 International", "", "MIT"):
        with pytest.raises(Refused):
            check_licence("x", other, words)


def test_a_source_keeps_at_most_its_number_of_rows_in_order(tmp_path):
    class Origin:
        def open(self, places):
            yield from (("n", str(i).encode()) for i in range(100))

    source = Source((Origin(),), lambda files: ((t.decode(), "p") for _, t in files), most=10)
    rows = source.gather(Places(tmp_path))
    assert rows == [(str(i), "p") for i in range(100)]
    drawn = [int(query) for query, _ in source.draw(rows)]
    assert len(drawn) == 10 and drawn == sorted(drawn)
    assert source.draw(rows) == source.draw(rows)
    assert source.draw(rows[:5]) == rows[:5]
