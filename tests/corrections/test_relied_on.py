"""Of suspected concepts, those that make the class likelier in other clips stay."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from shortcut_task import CORNER, cheating_model, task

from voxplain.corrections.relied_on import relied_on


@pytest.fixture
def three_concepts(monkeypatch):
    """Concept 0 is the lit corner that the network relies on, 1 and 2 are places that it does not look at."""
    examples = replace(task(20, 0.8, 0), target=1)

    def located(model, run, clips, labels, *, remove, store):
        masks = np.zeros_like(examples.unwanted)
        for k in remove:
            rows, columns = ((slice(6, 8), slice(4, 6)), (slice(6, 8), slice(6, 8)))[k - 1] if k else CORNER[1:]
            masks[:, :, rows, columns] = True if k else examples.unwanted[:, :, rows, columns]
        return replace(examples, unwanted=masks)

    monkeypatch.setattr("voxplain.corrections.relied_on.locate", located)
    monkeypatch.setattr(
        "voxplain.corrections.relied_on.labelled_examples",
        lambda *a, **k: (SimpleNamespace(examples=examples, clips=[]), None),
    )
    return cheating_model()


def test_places_that_the_network_does_not_look_at_are_dropped(three_concepts):
    assert relied_on(three_concepts, None, (1, 0, 2), data="unused") == (0,)


def test_all_stay_where_none_is_relied_on_or_there_is_but_one(three_concepts):
    assert relied_on(three_concepts, None, (1, 2), data="unused") == (1, 2)
    assert relied_on(three_concepts, None, (2,), data="unused") == (2,)
