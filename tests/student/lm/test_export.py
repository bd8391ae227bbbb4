"""What is exported stands alone, and its card says what was measured."""

from dataclasses import replace

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from starrec.errors import RunError
from starrec.student import load_student
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


def as_llama_cpp_has_them(weights):
    """The tensors of the tiny Llama, by hand: of a head's eight rows of queries and keys the two that are
    rotated together stand side by side."""
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
    order = np.array([0, 4, 1, 5, 2, 6, 3, 7])
    found = {f"{own}.weight": weights[f"{theirs}.weight"].numpy() for own, theirs in named.items()}
    for name, weight in found.items():
        if "attn_q" in name or "attn_k" in name:
            found[name] = np.concatenate([head[order] for head in np.split(weight, len(weight) // 8)])
    return found


@pytest.fixture
def gguf_base(base, tmp_path):
    """The tiny base as a GGUF file, with a field of each kind that such files have."""
    kind = gguf.GGUFValueType
    fields = {
        "general.name": ("Tiny", kind.STRING, None),
        "general.license": ("apache-2.0", kind.STRING, None),
        "general.quantization_version": (2, kind.UINT32, None),
        "llama.block_count": (2, kind.UINT32, None),
        "llama.rope.freq_base": (1e5, kind.FLOAT32, None),
        "tokenizer.ggml.add_bos_token": (False, kind.BOOL, None),
        "tokenizer.ggml.tokens": (["<|im_end|>", "Ġa", "\u27e6"], kind.ARRAY, kind.STRING),
        "tokenizer.ggml.token_type": ([3, 1, 1], kind.ARRAY, kind.INT32),
        "tokenizer.chat_template": ("{% for message in messages %}{% endfor %}", kind.STRING, None),
    }
    writer = gguf.GGUFWriter(tmp_path / "tiny.gguf", "llama")
    for key, (value, of, inner) in fields.items():
        writer.add_key_value(key, value, of, sub_type=inner)
    for name, weight in as_llama_cpp_has_them(base.model.state_dict()).items():
        writer.add_tensor(name, weight)
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    return tmp_path / "tiny.gguf"


def test_a_gguf_file_holds_the_student_and_all_else_of_its_base(gguf_base, base, configured, world, tmp_path):
    """All weights were trained: transformers needs half a minute to read a base from GGUF, which an adapter
    needs (test_llama_cpp)."""
    model = LanguageModel.of(base, world, configured(rank=0))
    model.belongs = replace(model.belongs, base=str(gguf_base))
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.lm.parameters():
            weight += torch.randn_like(weight)
    model.save(tmp_path / "student")
    into = export_language_model(tmp_path / "student", tmp_path / "out", None, gguf=True)
    before, after = gguf.GGUFReader(gguf_base), gguf.GGUFReader(into / GGUF)
    own = {"general.name", "general.file_type", "general.quantization_version"}
    for key, field in before.fields.items():
        if key not in own and not key.startswith("GGUF."):
            assert after.fields[key].contents() == field.contents(), key
    assert [tensor.name for tensor in after.tensors] == [tensor.name for tensor in before.tensors]
    expected = as_llama_cpp_has_them(model.lm.state_dict())
    for tensor in after.tensors:
        wanted = expected[tensor.name]
        kind = np.float16 if wanted.ndim > 1 else np.float32
        assert tensor.data.dtype == kind
        np.testing.assert_array_equal(tensor.data, wanted.astype(kind))
    assert (into / "config.json").exists()


def test_a_student_of_another_shape_is_no_student_of_the_base(gguf_base, base, configured, world, tmp_path):
    model = LanguageModel.of(base, world, configured(rank=0))
    model.belongs = replace(model.belongs, base=str(gguf_base))
    model.save(tmp_path / "student")
    reader = gguf.GGUFReader(gguf_base)
    writer = gguf.GGUFWriter(gguf_base.with_name("other.gguf"), "llama")
    for tensor in reader.tensors[:-1]:
        writer.add_tensor(tensor.name, tensor.data)
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    gguf_base.with_name("other.gguf").rename(gguf_base)
    with pytest.raises(RunError, match=r"has not the tensors of tiny\.gguf"):
        export_language_model(tmp_path / "student", tmp_path / "out", None, gguf=True)
    assert not (tmp_path / "out").exists()


def test_a_gguf_file_needs_a_base_that_is_one(base, configured, world, tmp_path):
    LanguageModel.of(base, world, configured()).save(tmp_path / "student")
    for options, said in (
        ({"gguf": True}, "is no GGUF file.*convert_hf_to_gguf.py"),
        ({"gguf": True, "adapter": True}, "either --adapter or --gguf"),
    ):
        with pytest.raises(RunError, match=said):
            export_language_model(tmp_path / "student", tmp_path / "out", None, **options)
        assert not (tmp_path / "out").exists()
