"""What the operating system refused, as a sentence: which file, why, and what to do."""

import errno

_ADVICE = {
    errno.EACCES: "Ask for the right to it, or change its permissions",
    errno.EPERM: "Ask for the right to it, or change its permissions",
    errno.EROFS: "Name a place on a disk that can be written",
    errno.ENOTDIR: "A part of this path is a file where a folder is needed: name another",
    errno.EEXIST: "Something lies there that is no folder: name another place",
    errno.EISDIR: "A folder lies where a file is needed: move it away, or name another",
    errno.ENOSPC: "Free some space and try again",
    errno.EIO: "The disk does not give it back: restore it from a copy",
}


def system_error(error: OSError, path: object = None) -> str:
    """The file, what the system says of it and what to do, without a full stop at the end.

    Python's own text for "Permission denied" names no file where only the reason is printed.

    Args:
        path: of the file, where the error does not know it.

    >>> system_error(OSError(errno.EROFS, "Read-only file system", "runs/p59"))
    'runs/p59: Read-only file system. Name a place on a disk that can be written'
    """
    if not error.strerror:
        # As libraries make them that are not Python's own.
        return str(error) if path is None else f"{path}: {error}"
    named = path if error.filename is None else error.filename
    if named is None:
        return error.strerror
    advice = _ADVICE.get(error.errno or 0)
    return f"{named}: {error.strerror}" + (f". {advice}" if advice else "")
