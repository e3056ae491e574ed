"""The small series of language models in checkpoints/tiny-lm: its text, its tokenizer, its training.

    python docs/make_tiny_lm.py                     # two to three minutes on one core
    python docs/make_tiny_lm.py --steps 40 --out /tmp/tiny

Two layers of GPT-NeoX, the architecture of Pythia, on songs: sentences of a small grammar, with a refrain that recurs
word by word. Which words stand in a refrain nobody can know before it was sung once, so that copying from the context
pays as soon as the grammar is learned. All of it is made from seeds; nothing is downloaded, and the text is nobody's.
"""

import argparse
import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch


def words(text: str) -> list[str]:
    return text.split()


NAMES = words("ada ben cleo dan eva finn gus hana ivo jan kira leo mira nils ola pia")
NOUNS = words(
    "river stone lamp door garden boat hill bird letter bell road house moon tree table song wheel bridge glass ship "
    "window cloud fire field coat horse mill well snow star wall ring book rope cup key drum leaf tower candle"
)
VERBS = words(
    "sees finds keeps loses sells paints hides brings breaks builds calls follows hears holds knows leaves likes "
    "makes meets moves needs opens reads takes tells turns wants warms washes watches"
)
QUALITIES = words(
    "old new small great red blue green white dark bright cold warm soft hard long short high low quiet loud slow "
    "quick round broken golden empty"
)
SMALL = words("<unk> . , the a and of in under near with while")
ANY = [*NAMES, *NOUNS, *VERBS, *QUALITIES]
WORDS = list(dict.fromkeys([*SMALL, *ANY]))

SAVED = (0, 10, 25, 50, 100, 200, 400, 600, 700, 800, 900, 1000, 1100, 1200, 1300, 1500, 1750, 2000)
CONTEXT = 64
BATCH = 32
SEED = 0
# Far from any batch of the training.
SEED_OF_TEXT = 1_000_003
TEXT_WORDS = 6_000


def song(draw: random.Random) -> Iterator[str]:
    """The words of one song: a refrain of any words, and sentences between its repetitions."""
    refrain = [draw.choice(ANY) for _ in range(draw.randint(6, 10))]
    for _ in range(draw.randint(2, 4)):
        yield from (*refrain, ".")
        for _ in range(draw.choice((0, 1, 1))):
            yield from sentence(draw)


def sentence(draw: random.Random) -> Iterator[str]:
    """One sentence of the grammar."""
    yield from person_or_thing(draw)
    yield frequent(draw, VERBS)
    yield from person_or_thing(draw)
    if draw.random() < 0.6:
        yield draw.choice(("in", "under", "near", "with", "of"))
        yield from person_or_thing(draw)
    if draw.random() < 0.25:
        yield draw.choice(("and", "while"))
        yield from person_or_thing(draw)
        yield frequent(draw, VERBS)
        yield from person_or_thing(draw)
    yield "."


def person_or_thing(draw: random.Random) -> Iterator[str]:
    """A name, or a thing with its article and, often, a quality."""
    if draw.random() < 0.4:
        yield draw.choice(NAMES)
        return
    yield draw.choice(("the", "the", "a"))
    if draw.random() < 0.5:
        yield frequent(draw, QUALITIES)
    yield frequent(draw, NOUNS)


def frequent(draw: random.Random, words: list[str]) -> str:
    """A word of a list, the first ones more often."""
    return words[min(int(draw.expovariate(2.0 / len(words))), len(words) - 1)]


def songs(seed: int) -> Iterator[str]:
    """Words of songs without end."""
    draw = random.Random(seed)
    return itertools.chain.from_iterable(song(draw) for _ in itertools.count())


def tokenizer() -> "object":
    """A word a token, as a tokenizer.json holds it."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def main() -> None:
    import transformers

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("checkpoints/tiny-lm"))
    parser.add_argument("--steps", type=int, default=SAVED[-1], help="the last step")
    options = parser.parse_args()
    began = time.monotonic()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()

    options.out.mkdir(parents=True, exist_ok=True)
    text = list(itertools.islice(songs(SEED_OF_TEXT), TEXT_WORDS))
    lines = " ".join(text).replace(" . ", " .\n")
    (options.out / "text.txt").write_text(lines + "\n", "utf-8")

    config = transformers.GPTNeoXConfig(
        vocab_size=len(WORDS), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=CONTEXT, rotary_pct=1.0, use_cache=False,
    )  # fmt: skip
    torch.manual_seed(SEED)
    model = transformers.GPTNeoXForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01)
    number = {word: i for i, word in enumerate(WORDS)}
    sung, logged = songs(SEED), []
    for step in range(options.steps + 1):
        if step in SAVED or step == options.steps:
            save(model, options.out / f"checkpoint-{step}", step, logged)
        if step == options.steps:
            break
        ids = [number[word] for word in itertools.islice(sung, BATCH * CONTEXT)]
        batch = torch.tensor(ids).reshape(BATCH, CONTEXT)
        # A rise over 100 steps: without it the first ones are large and the same for all seeds.
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 100)
        loss = model(batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        logged.append({"step": step + 1, "loss": round(loss.item(), 4)})
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.3f}, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{options.out}: {time.monotonic() - began:.0f} s, of which {time.process_time():.0f} s of CPU")


def save(model, folder: Path, step: int, logged: list[dict]) -> None:
    """A checkpoint as transformers' Trainer names it, in float16: half as large, and probes measure what it holds."""
    half = {name: w.detach().half().contiguous() for name, w in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=half)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16"}, indent=2), "utf-8")
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokenizer().save(str(folder / "tokenizer.json"))
    state = {"global_step": step, "log_history": logged[19::20]}
    (folder / "trainer_state.json").write_text(json.dumps(state), "utf-8")


if __name__ == "__main__":
    main()
