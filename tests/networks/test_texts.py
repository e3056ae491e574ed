"""Texts become windows of the model's tokens, and those that cannot say why in one sentence."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from interp.networks import texts
from interp.networks.texts import read_text

WORDS = ("<unk>", "a", "b", "c", "<s>")


@pytest.fixture
def folder(tmp_path):
    """A folder of Hugging Face without a tokenizer: a context of 4 and 128 tokens."""
    folder = tmp_path / "model"
    folder.mkdir()
    config = {"model_type": "gpt2", "n_positions": 4, "vocab_size": 128}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def with_tokenizer(folder):
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    # What many a tokenizer.json asks for: a token in front, and a cut.
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 4)])
    made.enable_truncation(3)
    made.save(str(folder / "tokenizer.json"))
    return folder


def text(tmp_path, content):
    file = tmp_path / "text.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_a_tokenizer_cuts_the_whole_text_and_puts_nothing_in_front(with_tokenizer, tmp_path):
    found = read_text(text(tmp_path, "a b c a\nb b x a c"), with_tokenizer)
    assert found.windows.tolist() == [[1, 2, 3, 1], [2, 2, 0, 1]]
    assert (found.cut_by, found.n_in_text, found.n_unknown, found.n_vocabulary) == (
        "tokenizer.json",
        9,
        1,
        128,
    )


def test_bytes_where_there_is_no_tokenizer_and_ids_from_a_file(folder, tmp_path):
    found = read_text(text(tmp_path, "abcdefgh!"), folder)
    assert found.windows.tolist() == [list(b"abcd"), list(b"efgh")] and found.cut_by == "bytes"
    np.save(tmp_path / "ids.npy", np.arange(6).reshape(2, 3))
    found = read_text(tmp_path / "ids.npy", folder)
    assert found.windows.tolist() == [[0, 1, 2, 3]] and found.cut_by == "ids"
    assert read_text(tmp_path / "ids.npy", {"n_ctx": 3, "d_vocab": 6}).windows.tolist() == [
        [0, 1, 2],
        [3, 4, 5],
    ]


def test_a_long_text_is_read_in_windows_spread_over_it(folder, tmp_path):
    np.save(tmp_path / "ids.npy", np.repeat(np.arange(100), 4))
    found = read_text(tmp_path / "ids.npy", folder, most=16)
    assert found.windows[:, 0].tolist() == [12, 37, 62, 87] and found.n_in_text == 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"text\.txt needs some text, got none: it has no tokens\. Name another"),
        (
            "a b".encode("utf-16"),
            r"needs to be text in UTF-8, got byte 0xff at place 0\. It is of another encoding",
        ),
        ("caf\xe9".encode("latin-1"), "got byte 0xe9 at place 3"),
        ("a b c", r"at least 4 tokens, one window of the model's context, got 3\. Name a longer"),
        ("x y z x y z", r"text that the model's tokenizer knows, got none: each of its tokens is unknown"),
    ],
)
def test_texts_that_cannot_be_read(with_tokenizer, tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_text(text(tmp_path, content), with_tokenizer)


def test_a_text_that_takes_too_much_memory_to_cut(with_tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "MOST_OF_TEXT", 8)
    assert read_text(text(tmp_path, "a b c a\n"), with_tokenizer).windows.tolist() == [[1, 2, 3, 1]]
    with pytest.raises(
        ValueError, match=r"text\.txt needs at most 8 bytes to be cut by a tokenizer, got 9\."
    ):
        read_text(text(tmp_path, "a b c a b"), with_tokenizer)


def test_tokens_that_the_model_does_not_know(folder, with_tokenizer, tmp_path):
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 3}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r"tokens below 3, .* got 3\. Its tokenizer\.json is another model's"
    ):
        read_text(text(tmp_path, "a b c a b"), folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(
        ValueError, match=r"got 97\. Its folder has no tokenizer\.json, so that every byte is a token"
    ):
        read_text(text(tmp_path, "abcdef"), folder)
    np.save(tmp_path / "ids.npy", np.array([0, 1, -1, 2]))
    with pytest.raises(ValueError, match=r"got -1\. Ids are those of another tokenizer"):
        read_text(tmp_path / "ids.npy", folder)


def test_files_that_are_something_else(folder, tmp_path):
    (folder / "merges.txt").write_text("a b")
    with pytest.raises(
        ValueError, match=r"needs a tokenizer\.json, got merges\.txt\. With transformers: AutoTok"
    ):
        read_text(text(tmp_path, "abcd"), folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json is no tokenizer: "):
        read_text(text(tmp_path, "abcd"), folder)
    np.save(tmp_path / "ids.npy", np.array([0.5]))
    with pytest.raises(ValueError, match=r"needs whole numbers, the ids of tokens, got float64"):
        read_text(tmp_path / "ids.npy", folder)
    (tmp_path / "ids.npy").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="needs to be an array of numpy, got something else"):
        read_text(tmp_path / "ids.npy", folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 5}))
    with pytest.raises(
        ValueError, match=r"needs a context \(max_position_embeddings, .*vocab_size, got None and 5"
    ):
        read_text(text(tmp_path, "abcd"), folder)
