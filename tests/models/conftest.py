"""What several tests of making weights share."""

import pytest
import torch

from models.train import Outcome
from tests.models.workshop import Workshop


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def done(workshop: Workshop) -> Outcome:
    """A training of six steps. Not to be changed."""
    return workshop.train()
