"""Repositories of the hub, downloaded into its cache on disk."""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from interp.sources.files import steps
from interp.sources.files.reading import SourceError, SourceWarning

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
SAFE = ("*.safetensors", "*.safetensors.index.json")
LOOSE = ("pytorch_model*",)
_PATTERNS = ["config.json", *SAFE, *LOOSE, *TOKENIZER]


def fetched(source: str) -> Path | None:
    """The hub's cache of a source that is written as a repository of the hub; None for any other.

    Raises:
        SourceError: as `download`.
    """
    return download(source) if is_hub_name(source) else None


def download(name: str, cache: Path | None = None) -> Path:
    """The hub's cache of a repository with its step revisions, downloaded where it is not there yet.

    Args:
        name: "org/name", or "org/name@step0,step1000" for some revisions only. All 154 of a Pythia model are hundreds
            of gigabytes for the larger ones.
        cache: the hub's cache; its default place without.

    Raises:
        SourceError: if the hub cannot be reached, or the repository or a revision is not there.
    """
    import huggingface_hub

    repository, chosen = repository_and_revisions(name)
    revisions: Iterable[str] = chosen
    folder = ""
    with hub_errors(repository or name):
        if not revisions:
            branches = [ref.name for ref in huggingface_hub.list_repo_refs(repository).branches]
            revisions = sorted((b for b in branches if steps.from_name(b)), key=steps.natural)
        if not revisions:
            raise SourceError(
                f"{repository} has no revisions named after steps on the hub; name some: {repository}@main."
            )
        for revision in revisions:
            folder = huggingface_hub.snapshot_download(
                repository, revision=revision, allow_patterns=_PATTERNS, cache_dir=cache
            )
    return Path(folder).parent.parent


@contextmanager
def hub_errors(repository: str) -> Iterator[None]:
    """What goes wrong with the hub as one sentence.

    Raises:
        SourceError: with the first line of what huggingface_hub says.
    """
    import huggingface_hub

    try:
        yield
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        if isinstance(error, SourceError):
            raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SourceError(
            f"{repository} cannot be had from the hub: {first} Without a network, name a folder on disk."
        ) from error


def cache_folder(repository: str, cache: Path | None = None) -> Path:
    """Where the hub's cache keeps a repository, whether it is there or not."""
    from huggingface_hub import constants

    return Path(cache or constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def repository_and_revisions(source: str) -> tuple[str, list[str]]:
    """What a name of the hub says: org/name, and the revisions behind the @, none where all are meant.

    >>> repository_and_revisions("hf://EleutherAI/pythia-14m@step0,step1000")
    ('EleutherAI/pythia-14m', ['step0', 'step1000'])
    """
    repository, _, chosen = _hub_name(source).partition("@")
    return repository, [part.strip() for part in chosen.split(",") if part.strip()]


def warn_if_relabelled(repository: str) -> None:
    """Say of a repository whose revisions are known not to be named after the steps that they are of that it is one.

    Pythia's README: its first models of these sizes were trained with twice the batch, saved every 500 steps, and their
    revisions renamed, so that the tokens seen agree with those of the others.
    """
    if re.fullmatch(r"EleutherAI/pythia-(160m|410m|1\.4b)(-deduped)?-v0", repository):
        warnings.warn(
            f"{repository} was trained with batches of 4M tokens, and its revisions are named after twice the steps "
            "that they are of: step1000 is step 500 of its training. They are shown by their names, at which as many "
            "tokens were seen as of the other Pythia models.",
            SourceWarning,
            stacklevel=3,
        )


def is_hub_name(source: str) -> bool:
    """Whether a source is written as a repository of the hub.

    >>> is_hub_name("hf://EleutherAI/pythia-14m@step0"), is_hub_name("runs/mine")
    (True, False)
    """
    return source.startswith("hf:")


def _hub_name(source: str) -> str:
    # A path made of hf://org/name has one slash less, or backslashes.
    return source.removeprefix("hf:").replace("\\", "/").lstrip("/")
