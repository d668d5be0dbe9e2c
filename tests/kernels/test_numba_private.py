"""What numba has to do that its documentation does not promise. Each test says what breaks without it."""

import numpy as np
import pytest
from numba import njit, types
from numba.core import caching
from numba.extending import intrinsic

from repurpose.kernels import numba_private
from repurpose.kernels.numba_private import Kept


def twice(x):
    return 2 * x


@pytest.fixture(name="keep")
def keep_for_this_test(monkeypatch):
    """`keep_machine_code` until the test ends."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", list(caching.CacheImpl._locator_classes))
    return numba_private.keep_machine_code


def call():
    """Compile or load `twice`; returns how often its machine code was found."""
    loop = njit(cache=True)(twice)
    assert loop(3.0) == 6
    return sum(loop.stats.cache_hits.values())


def test_machine_code_is_kept_in_the_folder_that_is_told_and_found_by_its_stamp(keep, tmp_path):
    """`CacheImpl._locator_classes`: its first class that knows a function says where its machine code lies.

    Without it every copy of the source compiles its loops anew, about a minute, and machine code of an older
    version may run where only a module changed that the loops import. Instead: set `numba.config.CACHE_DIR`,
    which is documented, to `compiled.CACHE` and the digest of all modules of the library in one path.
    """
    told = {"twice": Kept(tmp_path / "kept", "1")}
    keep(lambda module, file: told["twice"] if (module, file) == (twice.__module__, __file__) else None)
    assert [call(), call()] == [0, 1]
    assert list((tmp_path / "kept").glob("test_numba_private.twice*"))
    told["twice"] = Kept(tmp_path / "kept", "2")
    assert [call(), call()] == [0, 1]


@pytest.mark.parametrize("is_known", [False, True], ids=["not known", "not writable"])
def test_where_no_folder_can_be_had_numba_keeps_machine_code_as_ever(keep, tmp_path, monkeypatch, is_known):
    """The other classes of `CacheImpl._locator_classes` are asked in turn where one has no answer.

    Without it a library beside this one, or an environment that cannot be written, ends with an error where
    it would only compile. Instead: as above.
    """
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "numba"))
    (tmp_path / "file").touch()
    keep(lambda module, file: Kept(tmp_path / "file" / "kept", "1") if is_known else None)
    call()
    assert list((tmp_path / "numba").rglob("test_numba_private.twice*"))


@intrinsic
def write(typing, array, row, column, x):
    """array[row, column] = x."""

    def emit(context, builder, sig, args):
        builder.store(args[3], numba_private.element(context, builder, sig.args[0], *args[:3]))

    return types.void(array, types.int64, types.int64, types.float32), emit


@njit
def written(array, row, column):
    write(array, row, column, np.float32(7))


def test_an_intrinsic_finds_an_element_of_an_array():
    """`make_array`, of what numba hands to an intrinsic, opens an array: its data and its shape.

    Without it `simd` cannot load or store a row at once, on which the attention and the trees rest; plain
    loops over the row take 1.2 to 1.8 times as long. Instead: pass the address as a number
    (`array.ctypes.data`, which loops may use) and make the pointer by `builder.inttoptr`.
    """
    for shape in ((3, 5), (5,)):
        array, expected = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        row = len(shape) - 1
        written(array, row, 2)
        expected.reshape(-1, 5)[row, 2] = 7
        assert np.array_equal(array, expected)
