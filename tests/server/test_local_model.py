"""What a local model is asked; that it answers is tested with a real one (tests/teacher/test_smollm2.py)."""

from jsonschema import Draft202012Validator

from starrec.server.local_model import with_listed_ranges
from starrec.teacher import Plan


def test_a_bounded_integer_is_one_of_a_list_and_nothing_else_changes():
    schema = {
        "type": "object",
        "properties": {
            "trust": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 3}}},
            "parts": {"type": "array", "items": {"anyOf": [{"type": "integer", "minimum": -1, "maximum": 0}]}},
            "open": {"type": "integer", "minimum": 1},
            "far": {"type": "integer", "minimum": 0, "maximum": 64},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "minimum": {"type": "string"},
        },
        "required": ["trust"],
    }
    listed = with_listed_ranges(schema)
    assert listed["properties"] == {
        "trust": {"type": "object", "properties": {"a": {"enum": [1, 2, 3]}}},
        "parts": {"type": "array", "items": {"anyOf": [{"enum": [-1, 0]}]}},
        **{name: schema["properties"][name] for name in ("open", "far", "share", "minimum")},
    }
    assert listed["required"] == ["trust"]


def test_the_same_plans_are_admitted():
    plain = Plan.model_json_schema()
    listed = with_listed_ranges(plain)
    assert listed != plain
    for trust in range(-1, 12):
        for rounds in range(-1, 7):
            plan = {"text": "All.", "trust": {"user_profile": trust}, "rounds": rounds}
            found = [Draft202012Validator(schema).is_valid(plan) for schema in (plain, listed)]
            assert found == [1 <= trust <= 9 and 1 <= rounds <= 4] * 2
