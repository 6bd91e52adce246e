"""The build of the embedding model's files."""

import hashlib
import json
import struct

import numpy as np
import pytest

from local.sam_build.embedding_model import BLOCK, MODEL_FOLDER, WeightsInvalid, read_weights, rounded_blocks


def safetensors(path, **arrays):
    """Write arrays as a safetensors file and return its hash."""
    header, data = {}, b""
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_are_read_only_if_their_hash_is_the_expected_one(tmp_path):
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    sha256 = safetensors(tmp_path / "w", numbers=numbers)

    assert (read_weights(tmp_path / "w", sha256=sha256)["numbers"] == numbers).all()
    with pytest.raises(WeightsInvalid, match="sha256"):
        read_weights(tmp_path / "w")
    with pytest.raises(WeightsInvalid, match="does not exist"):
        read_weights(tmp_path / "missing")


def test_rounded_numbers_are_at_most_half_a_step_from_the_originals():
    matrix = np.random.default_rng(7).normal(size=(4, 2 * BLOCK)).astype(np.float32)
    matrix[0, :BLOCK] = 0
    rounded, scales = rounded_blocks(matrix)
    steps = scales.reshape(4, 2, 1)
    back = ((rounded.astype(np.float32) - 128) * steps).reshape(matrix.shape)

    assert (abs(back - matrix).reshape(4, 2, BLOCK) <= steps / 2 + 1e-6).all()


def test_the_models_files_come_with_its_licence_and_its_card():
    assert "Apache License" in (MODEL_FOLDER / "LICENSE").read_text()
    assert "license: apache-2.0" in (MODEL_FOLDER / "MODEL_CARD.md").read_text()
    assert (MODEL_FOLDER / "model.onnx").stat().st_size < 30_000_000
