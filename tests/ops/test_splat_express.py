"""Faces with an expression: the operator against its reference, on every instruction set."""

import pytest
import torch

from gtalk.ops import splat
from gtalk.ops.reference import splat as reference


def expressed(**changed) -> dict:
    """Arguments of `splat.express`: 600 Gaussians in three groups, seven columns of which two rest."""
    rng = torch.Generator().manual_seed(3)
    n, k = 600, 5
    low = torch.randn(n, 16, generator=rng)
    kept = torch.rand(7, n, generator=rng) < 0.2
    arguments = {
        "base": torch.randn(n, 16, generator=rng), "basis": torch.randn(n, k, 16, generator=rng).half(),
        "codes": torch.randn(3, k, generator=rng), "ends": (400, 400, 600), "limit": torch.rand(16, generator=rng),
        "ranges": torch.stack([low, low + torch.rand(n, 16, generator=rng)]), "share": 0.7,
        "held": torch.randn(n, 16, generator=rng),
        "columns": splat.SparseColumns.of(torch.randn(7, n, 16, generator=rng), kept),
        "coefs": torch.tensor([0.0, 1.0, -0.5, 0.0, 2.0, 0.25, 3.0]),
    }  # fmt: skip
    return arguments | changed


def by_reference(arguments: dict) -> torch.Tensor:
    given = dict(arguments)
    columns = given.pop("columns")
    return reference.express(**given, **columns._asdict())


@pytest.mark.parametrize("changed", [{}, {"share": 1.0}, {"ranges": None, "share": 0.0}, {"held": None}])
def test_faces_with_an_expression_match_the_reference(isa, changed: dict) -> None:
    arguments = expressed(**changed)
    torch.testing.assert_close(splat.express(**arguments), by_reference(arguments), rtol=1e-4, atol=1e-5)
    spacious = splat.express(**arguments, spare=3)
    assert spacious.shape == (len(arguments["base"]) + 3, 16)
    torch.testing.assert_close(spacious[:-3], by_reference(arguments), rtol=1e-4, atol=1e-5)


def test_sparse_columns_hold_the_table_that_they_are_made_of() -> None:
    rng = torch.Generator().manual_seed(4)
    dense, kept = torch.randn(4, 300, 16, generator=rng), torch.rand(4, 300, generator=rng) < 0.3
    nothing = {"base": torch.zeros(300, 16), "basis": torch.zeros(300, 0, 16), "codes": torch.zeros(1, 0)}
    arguments = {**nothing, "ends": (300,), "limit": torch.ones(16), "ranges": None, "share": 0.0, "held": None}
    for column in range(4):
        out = splat.express(**arguments, columns=splat.SparseColumns.of(dense, kept), coefs=torch.eye(4)[column])
        torch.testing.assert_close(out, (dense[column] * kept[column][:, None]).half().float())


@pytest.mark.parametrize("name", ["starts", "rows", "values"])
def test_sparse_columns_say_what_is_wrong(name: str) -> None:
    arguments = expressed()
    arguments["columns"] = arguments["columns"]._replace(**{name: getattr(arguments["columns"], name).double()})
    with pytest.raises(ValueError, match=name):
        splat.express(**arguments)


@pytest.mark.parametrize("changed", [{"ends": (1, 2, 3)}, {"ends": (600,)}])
def test_groups_have_to_cover_all_rows(changed: dict) -> None:
    with pytest.raises(ValueError, match="ends"):
        splat.express(**expressed(**changed))
