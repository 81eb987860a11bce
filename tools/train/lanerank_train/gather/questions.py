"""Collections of questions with their passages: XML, JSON and CSV."""

import csv
import io
import json
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from .rows import Row, pairs, squeeze

Files = Iterator[tuple[str, bytes]]


def untokenised(text: str) -> str:
    """Text whose words and signs were separated by spaces, without most of these."""
    text = squeeze(text.replace("``", '"').replace("''", '"'))
    text = text.replace("-lrb-", "(").replace("-rrb-", ")")
    text = re.sub(r" ([,.;:?!%)\]])", r"\1", text)
    text = re.sub(r"([(\[]) ", r"\1", text)
    return re.sub(r" (n't|'(?:s|re|ve|ll|d|m))\b", r"\1", text)


def medquad(files: Files) -> Iterator[Row]:
    """Questions and answers; many files have only questions."""
    rows = []
    for _, content in files:
        for pair in ElementTree.fromstring(content).iter("QAPair"):
            question = squeeze(pair.findtext("Question") or "").replace(" ?", "?")
            rows.append((question, pair.findtext("Answer") or ""))
    return pairs(rows, shortest=60)


def qed(files: Files) -> Iterator[Row]:
    """Questions of Natural Questions and the paragraph with the answer."""
    rows, seen = [], set()
    for _, content in files:
        for line in content.decode("utf-8").splitlines():
            example = json.loads(line)
            question, paragraph = example["question_text"], example["paragraph_text"]
            if question not in seen:  # the same questions are in several files
                seen.add(question)
                rows.append((question, untokenised(paragraph)))
    return pairs(rows)


def fetaqa(files: Files) -> Iterator[Row]:
    """Questions on tables of Wikipedia; the answer with the page's and the section's title."""
    rows = []
    for _, content in files:
        for example in map(json.loads, content.decode("utf-8").splitlines()):
            titles = f"{example['table_page_title']}, {example['table_section_title']}"
            rows.append((example["question"], f"{titles}: {example['answer']}"))
    return pairs(rows)


def fairytaleqa(files: Files) -> Iterator[Row]:
    """Questions on stories with the section that they are about, if it is one."""
    tables = {path: table(content) for path, content in files}
    rows = []
    for path, questions in tables.items():
        if "/questions/" not in path:
            continue
        story = path.replace("/questions/", "/section-stories/")
        story = story.replace("-questions.csv", "-story.csv")
        texts = {row["section"].strip(): row["text"] for row in tables.get(story, [])}
        rows += [(q["question"], texts.get(q["cor_section"].strip(), "")) for q in questions]
    return pairs(rows)


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace"))))


def pubmedqa(files: Files) -> Iterator[Row]:
    """Questions that are titles of papers, and the abstract without its conclusion."""
    rows = []
    for _, content in files:
        for paper in json.loads(content).values():
            rows.append((paper["QUESTION"], " ".join(paper["CONTEXTS"])))
    return pairs(rows)


def selqa(files: Files) -> Iterator[Row]:
    """Questions and every sentence that answers them."""
    rows = []
    for _, content in files:
        for example in json.loads(content):
            sentences = [example["candidates"][i] for i in example["answers"]]
            rows += [(example["question"], s) for s in sentences]
    return pairs(rows)


def squad_sentences(files: Files) -> Iterator[Row]:
    """Questions of SQuAD and the sentence with the answer: two files with a line for each."""
    lines = {p.rsplit("/", 1)[1]: c.decode("utf-8").splitlines() for p, c in files}
    questions, sentences = lines["tgt-test.txt"], lines["src-test.txt"]
    tidy = [(untokenised(q), untokenised(s)) for q, s in zip(questions, sentences, strict=True)]
    return pairs(tidy)


def arxiv(files: Files) -> Iterator[Row]:
    """Titles and abstracts; a paper is listed on several days and in both repositories."""
    rows = {}
    for _, content in files:
        for paper in map(json.loads, content.decode("utf-8").splitlines()):
            rows.setdefault(paper["id"].split("v")[0], (paper["title"], paper["summary"]))
    return pairs((title, abstract[:1500]) for title, abstract in rows.values())
