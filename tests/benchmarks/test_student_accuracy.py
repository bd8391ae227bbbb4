"""The bars of accuracy, by hand."""

from student import accuracy_bars


def _evaluation(scenario, star, over):
    return {
        "scenario": scenario,
        "systems": {"star": {"avg_hr": star}},
        "comparisons": [
            {"a": "star", "b": name, "ratio": ratio, "ci95": [ratio - 0.01, ratio + 0.01]}
            for name, ratio in over.items()
        ]
        + [{"a": "teacher", "b": "ease", "ratio": 0.1, "ci95": [0.0, 0.2]}],
    }


def test_bars_are_of_the_worse_dataset_and_of_peers_alone():
    movielens = [
        _evaluation(
            "classic", 0.7, {"teacher": 1.05, "star_sft": 0.9, "mlp_evidence": 1.02, "mlp_levels": 1.0}
        ),
        _evaluation("evolving_long", 0.6, {"teacher": 1.01, "mlp_evidence": 0.5}),
    ]
    games = [
        _evaluation("user_cold_start", 0.6, {"teacher": 1.03}),
        _evaluation("classic", 0.8, {"teacher": 1.2, "mlp_evidence": 1.04, "mlp_levels": 1.1, "ease": 0.97}),
    ]
    bars = accuracy_bars(movielens, games)
    assert {name: round(value, 4) for name, value in bars.items()} == {
        "ml_star": 0.7,
        "games_star": 0.8,
        "star_over_mlp": 1.02,
        "star_over_mlp_levels": 1.0,
        "ml_over_teacher_low": 1.04,
        "games_over_teacher": 1.2,
        "over_best_peer_low": 0.96,
        "worst_scenario": 1.01,
    }
