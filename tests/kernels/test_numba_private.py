"""Undocumented behaviour of numba that the library needs. Each test says what breaks without it."""

import numpy as np
import pytest
from numba import njit, types
from numba.core import caching
from numba.extending import intrinsic

from repurpose.kernels import numba_private
from repurpose.kernels.numba_private import CacheLocation


def twice(x):
    return 2 * x


@pytest.fixture(name="set_location")
def set_location_for_this_test(monkeypatch):
    """`set_cache_location`, whose effect ends with the test."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", list(caching.CacheImpl._locator_classes))
    return numba_private.set_cache_location


def call():
    """Compile or load `twice`; returns how often its machine code was in the cache."""
    loop = njit(cache=True)(twice)
    assert loop(3.0) == 6
    return sum(loop.stats.cache_hits.values())


def test_machine_code_is_stored_in_the_given_folder_and_loaded_by_its_stamp(set_location, tmp_path):
    """`CacheImpl._locator_classes`: the first class that accepts a function decides where it is cached.

    Without it, every copy of the source compiles its loops again (about a minute). If only a module changed
    that the loops import, outdated machine code may run. What to do instead: set `numba.config.CACHE_DIR`,
    which is documented, to a path of `compiled.CACHE` and the digest of all modules of the library.
    """
    locations = {"twice": CacheLocation(tmp_path / "cache", "1")}
    set_location(
        lambda module, file: locations["twice"] if (module, file) == (twice.__module__, __file__) else None
    )
    assert [call(), call()] == [0, 1]
    assert list((tmp_path / "cache").glob("test_numba_private.twice*"))
    locations["twice"] = CacheLocation(tmp_path / "cache", "2")
    assert [call(), call()] == [0, 1]


@pytest.mark.parametrize("has_location", [False, True], ids=["not known", "not writable"])
def test_numba_uses_its_default_cache_if_there_is_no_folder(
    set_location, tmp_path, monkeypatch, has_location
):
    """If a class of `CacheImpl._locator_classes` returns None, numba asks the next one.

    Without it, another library that uses numba, or an environment that cannot be written, ends with an error
    instead of compiling. What to do instead: as above.
    """
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "numba"))
    (tmp_path / "file").touch()
    set_location(
        lambda module, file: CacheLocation(tmp_path / "file" / "cache", "1") if has_location else None
    )
    call()
    assert list((tmp_path / "numba").rglob("test_numba_private.twice*"))


@intrinsic
def write(typing, array, row, column, x):
    """Set array[row, column] to x."""

    def emit(context, builder, sig, args):
        builder.store(args[3], numba_private.element_pointer(context, builder, sig.args[0], *args[:3]))

    return types.void(array, types.int64, types.int64, types.float32), emit


@njit
def written(array, row, column):
    write(array, row, column, np.float32(7))


def test_an_intrinsic_can_write_an_element_of_an_array():
    """`context.make_array` gives an intrinsic the data pointer and the shape of an array.

    Without it, `simd` cannot load or store a row at once, as the attention loops and the trees do; plain
    loops over the row take 1.2 to 1.8 times as long. What to do instead: pass the address as a number
    (`array.ctypes.data`, which loops may use) and convert it to a pointer with `builder.inttoptr`.
    """
    for shape in ((3, 5), (5,)):
        array, expected = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        row = len(shape) - 1
        written(array, row, 2)
        expected.reshape(-1, 5)[row, 2] = 7
        assert np.array_equal(array, expected)
