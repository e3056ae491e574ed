"""A text as windows of token ids: cut by the model's own tokenizer, one row as long as the model's context.

A tokenizer is a `tokenizer.json` beside the weights; nothing in it is code. A folder without any tokenizer takes bytes,
if its vocabulary is one of bytes, and any model takes ids: a .npy file of whole numbers. No token is put in front of a
text or of a window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from interp.networks.huggingface_config import network_fields

# Of a longer context a window takes so many tokens: memory for the logits of one window at a time.
LONGEST = 2048
# Tokens of a text that are read: all checkpoints of a series are run on each.
MOST_TOKENS = 2**17
# Bytes of a text that a tokenizer cuts in one piece: it takes some 600 bytes of memory for each token, 1 GB of this.
MOST_OF_TEXT = 2**23
# A vocabulary of bytes and some tokens beside, rounded up as vocabularies are.
MOST_BYTES = 512
_CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
_OTHER_TOKENIZERS = ("vocab.json", "merges.txt", "tokenizer.model", "vocab.txt", "spiece.model")


@dataclass(frozen=True, eq=False)
class Text:
    """A text in tokens.

    Attributes:
        windows: rows of token ids, as many as fit; what is left at the end is not read.
        n_vocabulary: tokens that the model knows.
        cut_by: "tokenizer.json", "bytes" or "ids".
        n_in_text: tokens of the whole text.
        n_unknown: tokens of the windows that stand for text which the tokenizer does not know.
    """

    windows: Int[np.ndarray, "window pos"]
    n_vocabulary: int
    cut_by: str
    n_in_text: int
    n_unknown: int


def read_text(file: Path, model: "Path | Mapping[str, int]", *, most: int = MOST_TOKENS) -> Text:
    """A file as windows of tokens of a model.

    Args:
        model: the folder of Hugging Face with its config.json and tokenizer, or what there is to say of another model:
            {"n_ctx": ..., "d_vocab": ...}.
        most: tokens that are taken at most, in windows spread evenly over the text.

    Raises:
        ValueError: if the file is empty, no UTF-8 text, shorter than one window, longer than MOST_OF_TEXT where a
            tokenizer cuts it, or has tokens that the model does not know; or there is a tokenizer in another form.
        OSError: if it cannot be read.
    """
    n_ctx, d_vocab = _sizes(model)
    folder = model if isinstance(model, Path) else None
    ids, cut_by, unknown = _ids(file, folder, d_vocab)
    if not len(ids):
        raise ValueError(f"{file} needs some text, got none: it has no tokens. Name another file.")
    if ids.min() < 0 or ids.max() >= d_vocab:
        odd = int(ids[(ids < 0) | (ids >= d_vocab)][0])
        advice = {
            "bytes": "Its folder has no tokenizer.json, so that every byte is a token: name a text of other "
            "characters, or a .npy file of ids",
            "ids": "Ids are those of another tokenizer",
        }.get(cut_by, "Its tokenizer.json is another model's")
        raise ValueError(
            f"{file} needs tokens below {d_vocab}, the vocabulary of the model, got {odd}. {advice}."
        )
    length = min(n_ctx, LONGEST)
    if len(ids) < length:
        raise ValueError(
            f"{file} needs at least {length} tokens, one window of the model's context, got {len(ids)}. Name a longer "
            "text."
        )
    windows = ids[: len(ids) // length * length].reshape(-1, length)
    n_windows = min(len(windows), max(most // length, 1))
    # Of their middles: the first and the last chapter of a book are not like the others.
    chosen = ((np.arange(n_windows) + 0.5) * len(windows) / n_windows).astype(int)
    windows = windows[chosen].astype(np.int64)
    n_unknown = 0 if unknown is None else int((windows == unknown).sum())
    if n_unknown == windows.size:
        raise ValueError(
            f"{file} needs text that the model's tokenizer knows, got none: each of its tokens is unknown. It is of "
            "another language or alphabet."
        )
    return Text(windows, d_vocab, cut_by, len(ids), n_unknown)


def _sizes(model: "Path | Mapping[str, int]") -> tuple[int, int]:
    """Positions and tokens of a model."""
    if not isinstance(model, Path):
        return model["n_ctx"], model["d_vocab"]
    file = model / "config.json"
    fields: dict[str, Any] = network_fields(file)
    # A model of several kinds of input says it of its language model.
    inner = fields.get("text_config")
    fields = {**fields, **inner} if isinstance(inner, dict) else fields
    n_ctx = next((fields[name] for name in _CONTEXT if isinstance(fields.get(name), int)), None)
    d_vocab = fields.get("vocab_size")
    if not isinstance(n_ctx, int) or not isinstance(d_vocab, int) or n_ctx < 2 or d_vocab < 1:
        raise ValueError(
            f"{file} needs a context ({', '.join(_CONTEXT[:3])}) of at least 2 and a vocab_size, got {n_ctx} and "
            f"{d_vocab}. Without them a text cannot be cut into windows."
        )
    return n_ctx, d_vocab


def _ids(file: Path, folder: Path | None, d_vocab: int) -> tuple[np.ndarray, str, int | None]:
    """The tokens of a file, by what they were cut, and the id that stands for what is unknown.

    Tokens that the file holds itself stay on the disk until they are read.
    """
    if file.suffix == ".npy":
        return _given_ids(file), "ids", None
    tokenizer = None if folder is None else folder / "tokenizer.json"
    if tokenizer is None or not tokenizer.is_file():
        others = [] if folder is None else [name for name in _OTHER_TOKENIZERS if (folder / name).is_file()]
        if others:
            raise ValueError(
                f"{folder} needs a tokenizer.json, got {', '.join(others)}. With transformers: "
                "AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes one; or name a .npy file of ids."
            )
        if d_vocab > MOST_BYTES:
            raise ValueError(
                f"{folder or file} needs a tokenizer.json, got none, and a vocabulary of {d_vocab:,} is not one of "
                "bytes. Put the tokenizer of the model there, or name a .npy file of ids."
            )
        # What is empty cannot be mapped.
        is_empty = not file.stat().st_size
        return np.zeros(0, np.uint8) if is_empty else np.memmap(file, np.uint8, "r"), "bytes", None
    if (size := file.stat().st_size) > MOST_OF_TEXT:
        raise ValueError(
            f"{file} needs at most {MOST_OF_TEXT:,} bytes to be cut by a tokenizer, got {size:,}. Of so long a text "
            f"{MOST_TOKENS:,} tokens are read: cut some out (head -c {MOST_OF_TEXT} {file.name}), or name a .npy file "
            "of ids."
        )
    data = file.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} needs to be text in UTF-8, got byte {data[error.start]:#04x} at place {error.start}. It is of "
            f"another encoding, or no text: iconv -f LATIN1 -t UTF-8 {file.name} rewrites one of LATIN1."
        ) from error
    ids, unknown = _cut(text, tokenizer)
    return ids, "tokenizer.json", unknown


def _given_ids(file: Path) -> np.ndarray:
    try:
        ids = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{file} needs to be an array of numpy, got something else ({error}).") from error
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"{file} needs whole numbers, the ids of tokens, got {ids.dtype}.")
    return ids.reshape(-1)


def _cut(text: str, file: Path) -> tuple[Int[np.ndarray, " token"], int | None]:
    """The ids of a text by a tokenizer.json, and the id of what it does not know."""
    # Comes with transformers, and takes a while to load.
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    # tokenizers raises bare Exceptions for whatever is wrong with the file.
    except Exception as error:
        raise ValueError(f"{file} is no tokenizer: {error}.") from error
    # A file may ask for cuts and paddings that made a batch: here a text is one piece.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = np.array(tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64)
    unknown = getattr(tokenizer.model, "unk_token", None)
    return ids, None if unknown is None else tokenizer.token_to_id(unknown)
