"""What is packed for the page can be read back, and the same content gives the same text."""

import numpy as np
import pytest
from page_examples import unpacked

from repurpose.report import packing


def test_arrays_and_texts_come_back():
    content = {
        "texts": ["</script>", "\u2028", "é"],
        "odd": np.arange(3, dtype=np.uint8),
        "inside": {"share": np.array([0.5, -1], np.float32), "empty": np.zeros(0, np.uint16)},
        "parts": [{"node": np.array([70000], np.uint32), "name": None}],
    }
    text = packing.pack(content)
    assert unpacked(text) == {
        "texts": content["texts"],
        "odd": [0, 1, 2],
        "inside": {"share": [0.5, -1.0], "empty": []},
        "parts": [{"node": [70000], "name": None}],
    }
    assert text == packing.pack(content)
    # Nothing in it can end the element that it is written into.
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def test_integers_take_the_least_space_that_holds_them():
    for highest, dtype in ((0, "uint8"), (255, "uint8"), (256, "uint16"), (65536, "uint32")):
        assert packing.smallest(np.array([0, highest])).dtype == dtype
    assert packing.smallest(np.zeros(0, int)).dtype == "uint8"


def test_an_array_that_javascript_has_no_type_for_is_refused():
    for array in (np.zeros(1), np.zeros((1, 1), np.uint8)):
        with pytest.raises(TypeError, match="cannot be packed"):
            packing.pack({"x": array})
