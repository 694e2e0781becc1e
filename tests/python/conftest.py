"""What the tests share: the example models with their expected outputs."""

import glob
import pathlib

import numpy as np
import pytest

import tenon

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def data_set(name, number=0):
    """(inputs, outputs) of an example model's test data."""
    folder = EXAMPLES / name / f"test_data_set_{number}"
    return tuple([tenon.load_tensor(p) for p in sorted(glob.glob(f"{folder}/{kind}_*.pb"))]
                 for kind in ("input", "output"))


def close(got, want, tolerance=1e-4):
    """Relative L2 within a tolerance, and the same shape."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    difference = np.linalg.norm((got.astype(np.float64) - want).ravel())
    assert difference <= tolerance * max(np.linalg.norm(want.astype(np.float64).ravel()), 1e-30)
    return True


@pytest.fixture(scope="session")
def curve():
    """Workflow 1's network, built once with a dynamic batch."""
    return tenon.build(EXAMPLES / "curve" / "curve.onnx", budget_ms=200,
                       profiles={"data": ((1, 9, 2), (10, 9, 2), (50, 9, 2))})
