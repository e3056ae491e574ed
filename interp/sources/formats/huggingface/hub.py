"""Repositories of the hub, downloaded into its cache on disk."""

from collections.abc import Iterable
from pathlib import Path

from interp.sources.files import steps
from interp.sources.files.reading import SourceError

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
_PATTERNS = ["config.json", "*.safetensors", "*.safetensors.index.json", "pytorch_model*", *TOKENIZER]


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

    repository, _, chosen = _hub_name(name).partition("@")
    revisions: Iterable[str] = [part.strip() for part in chosen.split(",") if part.strip()]
    try:
        if not revisions:
            branches = [ref.name for ref in huggingface_hub.list_repo_refs(repository).branches]
            revisions = sorted((b for b in branches if steps.from_name(b)), key=steps.natural)
        if not revisions:
            raise SourceError(
                f"{repository} has no revisions named after steps on the hub; name some: {repository}@main."
            )
        folder = ""
        for revision in revisions:
            folder = huggingface_hub.snapshot_download(
                repository, revision=revision, allow_patterns=_PATTERNS, cache_dir=cache
            )
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        if isinstance(error, SourceError):
            raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SourceError(
            f"{repository or name} cannot be had from the hub: {first} Without a network, name a folder on disk."
        ) from error
    return Path(folder).parent.parent


def is_hub_name(source: str) -> bool:
    """Whether a source is written as a repository of the hub.

    >>> is_hub_name("hf://EleutherAI/pythia-14m@step0"), is_hub_name("runs/mine")
    (True, False)
    """
    return source.startswith("hf:")


def _hub_name(source: str) -> str:
    # A path made of hf://org/name has one slash less, or backslashes.
    return source.removeprefix("hf:").replace("\\", "/").lstrip("/")
