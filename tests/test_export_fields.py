"""Every exported column is described: an alias for people, a unit where it is a quantity, a description, a type."""

import re
from functools import lru_cache
from typing import Any

import pytest
from small_study import small_singles, small_study

from atlas import export
from atlas.errors import UnknownName
from atlas.export_chokepoints import chokepoints_table
from atlas.export_fields import EXPORTED, fields_of, has_unit
from atlas.losses import lens

QUANTITY = re.compile(r"(_t|_km|_usd|_usd_t|_days|_share|_year|_reo_t|_per_day)$|^(tonnes|days|lon|lat)$")


@lru_cache(maxsize=1)
def tables() -> dict[str, Any]:
    """Return the table of each layer of a halt of the small study."""
    outcome = small_study().solve(("country:CHN/magnet",))
    return {name: export.layer_table(outcome, name) for name in export.LAYERS}


def chokepoints() -> Any:
    """Return the table of what costs most to lose."""
    study = small_study()
    return chokepoints_table(small_singles(), lens(study.ground.stage.world, study.blocs, "us-allies", "magnet", "all"))


def test_the_exported_layers_are_those_of_the_contract() -> None:
    assert set(EXPORTED) == {*export.LAYERS, "chokepoints"}


@pytest.mark.parametrize("layer", [*export.LAYERS, pytest.param("chokepoints", marks=pytest.mark.slow)])
def test_no_exported_column_is_without_a_field(layer: str) -> None:
    table = chokepoints() if layer == "chokepoints" else tables()[layer]
    fields = fields_of(layer, small_study().layers.schema)
    columns = ["id", *(c for c in table.columns if c != table.geometry.name)]
    assert [c for c in columns if c not in fields] == []
    for name, field in fields.items():
        assert name == field.name
        assert len(field.alias) > 1
        assert field.description
        assert has_unit(field), f"{layer}.{name} is a number without a unit"
        if QUANTITY.search(name):
            assert field.unit, f"{layer}.{name} has a unit in its name and none in its field"
    kinds = {"f": ("float", "int"), "i": ("int",), "b": ("bool",)}
    for name in columns[1:]:
        kind = table[name].dtype.kind
        assert fields[name].type in kinds.get(kind, ("str", "list", "date", "int")), (name, kind)


@pytest.mark.parametrize("layer", EXPORTED)
def test_aliases_of_a_layer_tell_its_columns_apart(layer: str) -> None:
    aliases = [f.alias for f in fields_of(layer, small_study().layers.schema).values()]
    assert len(set(aliases)) == len(aliases)


def test_other_layers_have_the_fields_of_their_files_and_unknown_ones_are_refused() -> None:
    schema = small_study().layers.schema
    assert {"id", "title", "url", "publisher"} <= set(fields_of("sources", schema))
    assert fields_of("flows", schema)["cost_usd_t"].comment.startswith("[USD/t] ")
    with pytest.raises(UnknownName, match="flows"):
        fields_of("flow", schema)
