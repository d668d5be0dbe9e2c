"""The errors that are meant for the person who runs the workflow."""


class InputError(Exception):
    """Something in the user's data or settings is wrong.

    The message is a whole sentence: what is wrong, where (file, row or key), what to do.
    `logs.configure` prints it without a traceback.
    """


class StoppedError(Exception):
    """The person, or the machine, asked a training to stop; the message says from where it will go on."""
