"""What a bundle is written with: registrations of operators, names, literals."""

import contextlib
import re

import numpy as np
import pytest
from compiling import compiled, run

from keras_pit import deploy
from keras_pit.deployment import DeploymentError
from keras_pit.deployment.cpp.literals import literal, string
from keras_pit.deployment.cpp.names import check_labels, check_name, enumerator
from keras_pit.deployment.cpp.operators import OPERATORS, registrations
from keras_pit.deployment.file_graph import Graph, OpInfo, TensorInfo


def tensor(dtype):
    return TensorInfo(index=0, name="t", shape=(1,), open=False, dtype=dtype, scale=0.0, zero_point=0)


def graph(*ops):
    made = [OpInfo(name, tuple(map(tensor, inputs)), tuple(map(tensor, outputs))) for name, inputs, outputs in ops]
    return Graph((), (), (), tuple(made))


CONV8 = ("CONV_2D", ("int8", "int8", "int32"), ("int8",))
CONV16 = ("CONV_2D", ("int16", "int8", "int64"), ("int16",))
CONV_FLOAT = ("CONV_2D", ("float32", "float32", "float32"), ("float32",))


@pytest.mark.parametrize(
    ("ops", "calls"),
    [
        ([CONV8], [("AddConv2D", "Register_CONV_2D_INT8")]),
        ([CONV8, CONV8], [("AddConv2D", "Register_CONV_2D_INT8")]),
        ([CONV16], [("AddConv2D", "Register_CONV_2D_INT16")]),
        ([CONV_FLOAT], [("AddConv2D", "")]),
        ([CONV8, CONV16], [("AddConv2D", "")]),
        ([("CONV_2D", ("int8", "int4", "int32"), ("int8",))], [("AddConv2D", "")]),
        ([("SOFTMAX", ("int8",), ("int16",))], [("AddSoftmax", "")]),
        ([("MUL", ("int16", "int16"), ("int16",))], [("AddMul", "")]),
        ([("PAD", ("int8", "int32"), ("int8",))], [("AddPad", "Register_PAD_INT8")]),
        (
            [("RESHAPE", ("int8", "int32"), ("int8",)), CONV8],
            [("AddConv2D", "Register_CONV_2D_INT8"), ("AddReshape", "")],
        ),
    ],
)
def test_registrations(ops, calls):
    assert [(call.method, call.kernel) for call in registrations(graph(*ops))] == calls


def test_each_method_is_named_once():
    assert len({row.name for row in OPERATORS.values()}) == len(OPERATORS)
    assert all(re.fullmatch(r"Add[A-Z]\w+", row.name) for row in OPERATORS.values())


@pytest.mark.parametrize(
    ("op", "message"),
    [
        ("TILE", "operator TILE ('t' -> 't'), for which MicroMutableOpResolver has no method; expected operators that"),
        (
            "VAR_HANDLE",
            "The file keeps variables ('t' -> 't'); expected constants alone. Freeze them before the conversion",
        ),
    ],
)
def test_operators_that_cannot_be_registered(op, message):
    with pytest.raises(DeploymentError, match=re.escape(message)):
        registrations(graph((op, ("int8",), ("int8",))))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2watch", "name='2watch' is not a C++ identifier; expected letters, digits and underscores, a letter first."),
        ("my watch", "name='my watch' is not a C++ identifier"),
        ("größe", "name='größe' is not a C++ identifier"),
        ("_watch", "name='_watch' is not a C++ identifier"),
        ("", "name='' is not a C++ identifier"),
        ("my__watch", "name='my__watch' holds two underscores in a row, which C++ reserves for compilers."),
        ("switch", "name='switch' is a keyword in C++; expected a free identifier. Pass another, for example name="),
        ("log", "name='log' is taken by a library in C++"),
        ("tflite", "name='tflite' is taken by a library in C++"),
    ],
)
def test_names(name, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        deploy(b"never read", tmp_path / "out", name=name)
    assert not list(tmp_path.iterdir())


ARDUINO = "PI HIGH LOW INPUT OUTPUT F A0 A15 D3 B101 Serial Serial1 byte boolean word setup loop"


@pytest.mark.parametrize("name", ["int8_t", "uint_fast16_t", "size_t", "NULL", "EOF", "INT8_MAX", *ARDUINO.split()])
def test_types_and_macros_are_no_names(name):
    with pytest.raises(ValueError, match=f"name='{name}' is taken by a library in C"):
        check_name(name)


@compiled
def test_macros_of_the_headers_in_use_are_no_names(tmp_path):
    headers = "stdint stddef stdbool float inttypes"
    (tmp_path / "test.cc").write_text("".join(f"#include <{header}.h>\n" for header in headers.split()))
    macros = re.findall(r"#define ([A-Za-z]\w*) ", run("c++", "-std=c++17", "-dM", "-E", "test.cc", cwd=tmp_path))
    free = []
    for macro in macros:
        with contextlib.suppress(ValueError):
            check_name(macro)
            free.append(macro)
    assert not free


@compiled
@pytest.mark.parametrize("name", ["ECG", "A", "watch", "Watch2", "model", "data", "net", "ecg", "value", "sine"])
def test_free_names(name, tmp_path):
    check_name(name)
    headers = "math stdio stdlib string time unistd signal sys/socket pthread ctype strings fcntl poll"
    includes = "".join(f"#include <{header}.h>\n" for header in headers.split())
    (tmp_path / "test.cc").write_text(f"{includes}namespace {name} {{}}\nint main() {{}}\n")
    run("c++", "-fsyntax-only", "test.cc", cwd=tmp_path)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("rest", "kRest"),
        ("PEN", "kPEN"),
        ("arm raise", "kArmRaise"),
        ("arm-raise 2", "kArmRaise_2"),
        ("1.5", "k1_5"),
        ("15", "k15"),
        ("été", "kEte"),
        ("switch", "kSwitch"),
    ],
)
def test_enumerators(label, name):
    assert enumerator(label) == name


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a b", "a-b"], "Labels 'a b' and 'a-b' have the same name in C++, kAB; expected names that differ"),
        (["x", "x"], "Labels 'x' and 'x' have the same name in C++, kX"),
        (["+", "-"], "Label '+' has no Latin letter or digit to make a C++ name of; expected at least one. Rename it."),
    ],
)
def test_labels_that_clash(labels, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_labels(labels)
    with pytest.raises(ValueError, match=re.escape(message)):
        deploy(b"never read", tmp_path / "out", labels=labels)


@pytest.mark.parametrize(
    ("number", "dtype", "text"),
    [
        (-128, "int8", "-128"),
        (2**32 - 1, "uint32", "4294967295u"),
        (-(2**63), "int64", "-9223372036854775807LL - 1"),
        (2**64 - 1, "uint64", "18446744073709551615ULL"),
        (0.1, "float32", "0.1f"),
        (1e-30, "float32", "1e-30f"),
        (3, "float32", "3.0f"),
        (1.1754944e-38, "float32", "1.1754944e-38f"),
        (1, "bool", "true"),
    ],
)
def test_literals(number, dtype, text):
    assert literal(number, dtype) == text


def test_numbers_that_have_noliteral():
    with pytest.raises(DeploymentError, match="An output for the test data is nan; expected finite numbers"):
        literal(np.float32("nan"), "float32")


def test_strings():
    assert string('a"b\\c??\té') == '"a\\042b\\134c\\077\\077\\011\\303\\251"'
