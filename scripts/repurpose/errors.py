"""The one error that is meant for the person who runs the workflow."""


class InputError(Exception):
    """Something in the user's data or settings is wrong.

    The message is a whole sentence: what is wrong, where (file, row or key), what to do.
    `logs.configure` prints it without a traceback.
    """
