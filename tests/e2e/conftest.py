import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import mesh as mesh_module


@pytest.fixture(params=[1, 4], ids=["concurrency-1", "concurrency-4"])
def mesh_1_and_4(request):
    with mesh_module.Mesh(concurrency=request.param) as mesh:
        yield mesh


@pytest.fixture
def mesh():
    with mesh_module.Mesh() as running:
        yield running
