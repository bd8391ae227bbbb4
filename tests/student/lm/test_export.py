"""What is exported stands alone, and its card says what was measured."""

import gguf
import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from starrec.errors import RunError
from starrec.student import StudentConfig, load_student
from starrec.student.lm.bases import gguf_of, load_base
from starrec.student.lm.export import GGUF, export_language_model
from starrec.student.lm.model import LanguageModel

RESULTS = {
    "commit": "0123456789abcdef",
    "data_sha256": "fedcba9876543210",
    "evaluations": [
        {
            "dataset": "small",
            "scenario": "classic",
            "split": "leave-one-out",
            "negatives": 19,
            "systems": {"star": {"avg_hr": 0.7204, "avg_hr_ci95": [0.7, 0.74], "n_users": 943}},
            "comparisons": [{"a": "star", "b": "teacher", "ratio": 1.021, "ci95": [1.003, 1.039]}],
        }
    ],
}


def test_a_merged_export_needs_no_base(base, configured, kept, world, tmp_path):
    model = LanguageModel.of(base, world, configured())
    model.save(tmp_path / "student")
    into = export_language_model(tmp_path / "student", tmp_path / "out", RESULTS)
    assert not (into / "adapter_config.json").exists()
    np.testing.assert_allclose(load_student(into, world).fast.scores(kept[0]), model.scores(kept[0]), atol=1e-4)
    assert AutoModelForCausalLM.from_pretrained(into).config.model_type == "llama"
    card = (into / "README.md").read_text()
    assert (
        "| star | 0.720 | 0.700 to 0.740 | 943 |" in card and "star over teacher: 1.021 [1.003, 1.039]." in card
    )
    with pytest.raises(RunError, match="exists already"):
        export_language_model(tmp_path / "student", into, None)


def test_an_adapter_is_exported_as_it_is(base, configured, world, kept, tmp_path):
    model = LanguageModel.of(base, world, configured())
    model.save(tmp_path / "student")
    into = export_language_model(tmp_path / "student", tmp_path / "out", None, adapter=True)
    assert "library_name: peft" in (into / "README.md").read_text()
    np.testing.assert_allclose(load_student(into, world).fast.scores(kept[0]), model.scores(kept[0]), atol=1e-4)


def test_whole_weights_have_no_adapter(base, configured, world, tmp_path):
    LanguageModel.of(base, world, configured(rank=0)).save(tmp_path / "student")
    with pytest.raises(RunError, match="has no adapter"):
        export_language_model(tmp_path / "student", tmp_path / "out", None, adapter=True)


@pytest.fixture
def gguf_base(folder, tmp_path):
    """The tiny base as a GGUF file, as llama.cpp's converter writes it, rows of queries and keys in its order.

    What is no weight is SmolLM2's, but for the shape.
    """
    reader = gguf.GGUFReader(gguf_of("smollm2"))
    shape = {
        "llama.block_count": 2,
        "llama.context_length": 1024,
        "llama.embedding_length": 32,
        "llama.feed_forward_length": 64,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.rope.dimension_count": 8,
    }
    writer = gguf.GGUFWriter(tmp_path / "tiny.gguf", "llama")
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key not in ("general.architecture", "general.file_type"):
            kind, inner = field.types[0], field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(key, shape.get(key, field.contents()), kind, sub_type=inner)
    weights = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    places = {
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    named = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"} | {
        f"blk.{layer}.{own}": f"model.layers.{layer}.{theirs}"
        for layer in range(2)
        for own, theirs in places.items()
    }
    # Of a head's eight rows the two that are rotated together stand side by side.
    order = np.array([0, 4, 1, 5, 2, 6, 3, 7])
    for own, theirs in named.items():
        weight = weights[f"{theirs}.weight"].numpy()
        if own.endswith(("attn_q", "attn_k")):
            weight = np.concatenate([head[order] for head in np.split(weight, len(weight) // 8)])
        writer.add_tensor(f"{own}.weight", weight)
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    return tmp_path / "tiny.gguf"


def test_a_gguf_file_holds_the_student_and_all_else_of_its_base(
    gguf_base, configured, kept, moved, world, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = configured().model_copy(update={"base": str(gguf_base)})
    model = LanguageModel.of(load_base(config), world, config)
    moved(model, 0.3)
    model.save(tmp_path / "student")
    into = export_language_model(tmp_path / "student", tmp_path / "out", None, gguf=True)
    before, after = gguf.GGUFReader(gguf_base), gguf.GGUFReader(into / GGUF)
    own = {"general.name", "general.file_type", "general.quantization_version"}
    for key, field in before.fields.items():
        if key not in own and not key.startswith("GGUF."):
            assert after.fields[key].contents() == field.contents(), key
    assert [tensor.name for tensor in after.tensors] == [tensor.name for tensor in before.tensors]
    # Read as any base is: the student's weights, rounded to 16 bits.
    again = LanguageModel.of(load_base(StudentConfig(base=str(into / GGUF))), world, configured())
    np.testing.assert_allclose(again.scores(kept[0]), model.scores(kept[0]), atol=2e-2)
    untrained = LanguageModel.of(load_base(config), world, config)
    assert np.abs(again.scores(kept[0]) - untrained.scores(kept[0])).max() > 0.1
    assert (into / "config.json").exists()


def test_a_gguf_file_needs_a_base_that_is_one(base, configured, world, tmp_path):
    LanguageModel.of(base, world, configured()).save(tmp_path / "student")
    for options, said in (
        ({"gguf": True}, "is no GGUF file.*convert_hf_to_gguf.py"),
        ({"gguf": True, "adapter": True}, "either --adapter or --gguf"),
    ):
        with pytest.raises(RunError, match=said):
            export_language_model(tmp_path / "student", tmp_path / "out", None, **options)
        assert not (tmp_path / "out").exists()
