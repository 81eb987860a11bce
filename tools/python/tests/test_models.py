"""Models from files, folders, FlashRank's layout and the hub's cache; errors of bad ones."""

import hashlib
import json
import logging
import os
import pickle
import shutil
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy
import pytest
from conftest import DATA, PASSAGES, QUERIES, flashrank_folder

from lanerank import Encoder, HubError, ModelError, Ranker

NAME = "ms-marco-TinyBERT-L-2-v2"


def scores(ranker):
    return ranker.scores(QUERIES[0], PASSAGES)


def test_flashranks_folder_by_name_and_as_the_default(tmp_path, ranker):
    cache = flashrank_folder(tmp_path / "cache")
    named = Ranker(model_name=NAME, cache_dir=str(cache))
    assert (
        scores(named)
        == scores(Ranker(cache_dir=cache))
        == scores(Ranker(model_id=NAME, cache_dir=cache))
    )
    assert scores(named) != scores(ranker)
    assert named.max_length == 64
    # Without the folder, no name means the model inside the package.
    assert scores(Ranker(cache_dir=tmp_path)) == scores(ranker)


def test_cache_dir_comes_before_the_working_directory(tmp_path, monkeypatch):
    cache = flashrank_folder(tmp_path / "cache")
    here = flashrank_folder(tmp_path / "here", onnx="fused_tanh")
    monkeypatch.chdir(here)
    kept, path = Ranker(NAME, cache), Ranker(NAME)
    assert scores(kept) == scores(Ranker(cache_dir=cache)) != scores(path)
    others = [pickle.loads(pickle.dumps(ranker)) for ranker in (kept, path)]
    monkeypatch.chdir(tmp_path)
    others += [pickle.loads(pickle.dumps(ranker)) for ranker in (kept, path)]
    assert [scores(other) for other in others] == [scores(kept), scores(path)] * 2


def test_goldens_of_onnx_runtime(tmp_path):
    """Compares with logits by ONNX Runtime, without FlashRank."""
    ranker = Ranker(cache_dir=flashrank_folder(tmp_path), dtype="f32")
    golden = json.loads((DATA / "onnx/one-label/expected.json").read_text())
    for (query, passage), [expected] in zip(golden["texts"], golden["files"]["torch_eager"]):
        [hit] = ranker.rank(query, [passage])
        assert hit.logit == pytest.approx(expected, abs=1e-5)


def test_a_conversion_is_kept_until_its_source_changes(tmp_path, caplog):
    cache = flashrank_folder(tmp_path / "cache")
    with caplog.at_level(logging.INFO, "lanerank"):
        first = scores(Ranker(cache_dir=cache))
        assert caplog.messages == [f"converting {cache / NAME}"]
        [lane] = (cache / "lanerank").glob("*.lane")
        assert scores(Ranker(cache_dir=cache)) == first == scores(Ranker(lane))
        assert len(caplog.messages) == 1
        scores(Ranker(cache_dir=cache, dtype="f32"))
        assert len(caplog.messages) == 2
        onnx = cache / NAME / "flashrank-TinyBERT-L-2-v2.onnx"
        shutil.copy(DATA / "onnx/one-label/fused_int8.onnx", onnx)
        assert scores(Ranker(cache_dir=cache)) != first
        assert len(caplog.messages) == 3
    assert not list((cache / "lanerank").glob("*.tmp"))


def test_a_damaged_conversion_is_made_anew(tmp_path):
    cache = flashrank_folder(tmp_path / "cache")
    first = scores(Ranker(cache_dir=cache))
    [lane] = (cache / "lanerank").glob("*.lane")
    whole = lane.read_bytes()
    for damaged in (whole[:-1], b"", whole[:2000] + b"\xff" + whole[2001:]):
        lane.write_bytes(damaged)
        assert scores(Ranker(cache_dir=cache)) == first
        assert lane.read_bytes() == whole


def test_threads_that_open_it_at_once_convert_it_once(tmp_path, caplog):
    cache = flashrank_folder(tmp_path / "cache")
    with caplog.at_level(logging.INFO, "lanerank"), ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: scores(Ranker(cache_dir=cache)), range(6)))
    assert found == found[:1] * 6
    assert caplog.messages == [f"converting {cache / NAME}"]


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path, caplog):
    cache = flashrank_folder(tmp_path / "cache")
    (cache / "lanerank").write_text("a file where the folder should be")
    with caplog.at_level(logging.INFO, "lanerank"):
        found = scores(Ranker(cache_dir=cache))
    assert caplog.messages[-1].startswith("the converted model is not kept: ")
    (cache / "lanerank").unlink()
    assert scores(Ranker(cache_dir=cache)) == found


def test_archives_and_paths(tmp_path, caches):
    cache = flashrank_folder(tmp_path / "cache")
    expected = scores(Ranker(cache_dir=cache))
    archive = tmp_path / "zips" / f"{NAME}.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in (cache / NAME).iterdir():
            zipped.write(file, f"{NAME}/{file.name}")
    assert scores(Ranker(NAME, cache_dir=archive.parent)) == expected
    for path in (
        archive,
        cache / NAME,
        str(cache / NAME),
        cache / NAME / "flashrank-TinyBERT-L-2-v2.onnx",
    ):
        assert scores(Ranker(path)) == expected
    assert len(list((caches / "lanes").glob("*.lane"))) == 3
    [lane] = (archive.parent / "lanerank").glob("*.lane")
    assert scores(Ranker(shutil.copy(lane, tmp_path / "no-suffix"))) == expected


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("missing.lane", FileNotFoundError, "missing.lane"),
        ("rank-T5-flan", ValueError, "a T5 model.*ms-marco-MiniLM-L-12-v2"),
        ("rank_zephyr_7b_v1_full", ValueError, "a language model"),
        ("ms_marco_tinybert_l_2_v2", ValueError, '"ms-marco-TinyBERT-L-2-v2" is one'),
        ("", ValueError, "not a registered model"),
        ("../up", ValueError, "not the name of a repository"),
        ("org/name", HubError, "HF_HUB_OFFLINE"),
        (NAME, HubError, "HF_HUB_OFFLINE"),
        ("empty", ModelError, "empty"),
        ("text.txt", ModelError, "text.txt"),
        ("broken.lane", ModelError, "broken.lane: model file"),
        ("pointer.lane", ModelError, "pointer.lane: .*git lfs pull"),
    ],
)
def test_what_cannot_be_opened_is_named(tmp_path, monkeypatch, name, error, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no model")
    (tmp_path / "broken.lane").write_bytes(b"LANERANK" + bytes(200))
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{64 * '0'}\nsize 9\n"
    (tmp_path / "pointer.lane").write_text(pointer)
    monkeypatch.chdir(tmp_path)
    for options in ({}, {"cache_dir": tmp_path / "cache"}):
        with pytest.raises(error, match=message) as raised:
            Ranker(name, **options)
        assert raised.type is error
    if error is FileNotFoundError:
        assert raised.value.filename == name and raised.value.errno == 2


def test_other_arguments():
    with pytest.raises(TypeError, match="two names"):
        Ranker(NAME, model_id=NAME)
    with pytest.raises(ValueError, match="dtype"):
        Ranker(dtype="int4")
    assert Ranker(log_level="no such level").logger.level == logging.INFO
    assert Ranker(log_level="warning").logger.level == logging.WARNING


class Hub(BaseHTTPRequestHandler):
    """A hub with one model, tests/data/model/old-names, as org/tiny."""

    files = {
        path.name: path.read_bytes()
        for path in (DATA / "model/old-names").iterdir()
        if path.name != "expected.json"
    }
    asked = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        self.asked.append(path)

        def oid(content):
            return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

        if path == "/api/models/org/tiny/revision/main":
            body = json.dumps({"sha": "12" * 20}).encode()
        elif path.startswith("/api/models/org/tiny/tree/"):
            tree = [
                {"type": "file", "path": n, "size": len(c), "oid": oid(c)}
                for n, c in self.files.items()
            ]
            body = json.dumps(tree).encode()
        else:
            body = self.files.get(path.rsplit("/", 1)[1]) if "/org/tiny/resolve/" in path else None
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    Hub.asked.clear()
    yield Hub.asked
    server.shutdown()
    server.server_close()


def test_a_name_is_downloaded_once_and_only_where_allowed(hub, tmp_path, caches, caplog):
    with pytest.raises(HubError):
        Ranker("org/tiny", local_files_only=True)
    assert hub == [] and Ranker() and hub == []
    with caplog.at_level(logging.INFO, "lanerank"):
        first = scores(Ranker("org/tiny"))
    assert [message.split(" from ")[0] for message in caplog.messages] == ["downloading org/tiny"]
    count = len(hub)
    assert count > 2 and (caches / "hf/hub/models--org--tiny").is_dir()
    assert (
        scores(Ranker("org/tiny", local_files_only=True))
        == first
        == scores(Ranker("org/tiny", cache_dir=tmp_path / "c"))
    )
    assert len(hub) == count
    with pytest.raises(HubError, match="404"):
        Ranker("org/none")


def test_cache_dir_is_where_downloads_go(hub, tmp_path, caches):
    cache = tmp_path / "cache"
    Ranker("org/tiny", cache_dir=cache)
    count = len(hub)
    assert sorted(os.listdir(cache)) == ["huggingface", "lanerank"] and not (caches / "hf").exists()
    Ranker("org/tiny", cache_dir=cache, local_files_only=True)
    assert len(hub) == count


@pytest.mark.parametrize("name", ["mean-pooled", "cls-pooled"])
def test_encoders_give_the_vectors_of_torch(name):
    source = DATA / "model" / name
    golden = json.loads((source / "expected.json").read_text())
    encoder = Encoder(source, max_length=golden["max_length"], dtype="f32")
    texts = [case["text"] for case in golden["cases"]]
    vectors = encoder.encode(texts)
    assert vectors.dtype == numpy.float32 and vectors.shape == (len(texts), encoder.dimension)
    numpy.testing.assert_allclose(
        vectors, [case["embedding"] for case in golden["cases"]], atol=1e-5
    )
    assert vectors.flags.writeable and encoder.encode_lists(texts) == vectors.tolist()
    assert pickle.loads(pickle.dumps(encoder)).encode_lists(texts) == vectors.tolist()
    # A ranker on it gives cosines.
    [score] = Ranker(source, max_length=golden["max_length"], dtype="f32").scores(
        texts[0], texts[1:2]
    )
    a, b = vectors[:2]
    assert score == pytest.approx(
        float(a @ b / numpy.linalg.norm(a) / numpy.linalg.norm(b)), abs=1e-5
    )


def test_encoders_of_nothing_and_of_what_is_none():
    encoder = Encoder(DATA / "model/mean-pooled")
    assert encoder.encode([]).shape == (0, encoder.dimension) and encoder.encode_lists([]) == []
    with pytest.raises(TypeError, match=r"texts\[0\] is int"):
        encoder.encode([1])
    with pytest.raises(ModelError, match="cross-encoder"):
        Encoder(DATA / "model/old-names")
