"""Errors that are written for the person who runs the workflow."""

import errno

# Parts of the messages of PyTorch, XGBoost and numpy, which do not have an exception class for every lack of
# memory. The last four are about arrays that are larger than any memory.
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

    The message is one sentence: what is wrong, where (file, row or key), and what to do.
    `logs.configure` prints it without a traceback.
    """


class StoppedError(Exception):
    """The user or the system stopped a training run; the message says where the next run resumes."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device, or the machine, has no memory left."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:  # mmap raises it
        return True
    text = str(error).lower()
    return isinstance(error, (OSError, RuntimeError, ValueError)) and any(
        phrase in text for phrase in NO_MEMORY
    )


def shortened(error: BaseException, length: int = 200) -> str:
    """The message of an error on one line, at most `length` characters; the class name if there is none."""
    return " ".join(str(error).split())[:length] or type(error).__name__
