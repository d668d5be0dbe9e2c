"""The errors that are meant for the person who runs the workflow."""

import errno

# What PyTorch, XGBoost and numpy say where they have no class for it, and of sizes beyond any memory.
NO_MEMORY = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "memory allocation",
    "bad_alloc",
    "bad allocation",
    "alloc_failed",
    "cudaerrormemoryallocation",
    "array is too big",
    "maximum allowed dimension exceeded",
    "storage size calculation overflowed",
    "integer multiplication overflow",
)


class InputError(Exception):
    """Something in the user's data or settings is wrong.

    The message is a whole sentence: what is wrong, where (file, row or key), what to do.
    `logs.configure` prints it without a traceback.
    """


class StoppedError(Exception):
    """The person, or the machine, asked a training to stop; the message says from where it will go on."""


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that a device, or the machine, has no memory left."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:  # of mmap
        return True
    text = str(error).lower()
    return isinstance(error, (OSError, RuntimeError, ValueError)) and any(
        words in text for words in NO_MEMORY
    )


def shortened(error: BaseException, length: int = 200) -> str:
    """What an error says, on one line; the name of its class where it says nothing."""
    return " ".join(str(error).split())[:length] or type(error).__name__
