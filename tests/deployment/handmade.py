"""Small .tflite files written part by part, as no converter writes them."""

import zipfile
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

FILES = Path(__file__).resolve().parents[1] / "data/files.zip"


def stored(name):
    """A file that keras_pit does not make: lstm, svdf, circular_buffer, variables or open_batch."""
    return zipfile.ZipFile(FILES).read(f"{name}.tflite")


def packed(model):
    """The bytes of a tree of the schema's objects."""
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tree(content):
    """A file as the schema's objects, to change and pack again."""
    return schema.ModelT.InitFromPackedBuf(content, 0)


def filled(kind, **values):
    """One of the schema's objects; those of old versions take no values when they are made."""
    found = kind()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def tensor(shape, dtype="INT8", *, data=None, scale=0.1, variable=False):
    """A tensor and its constant."""
    kind = getattr(schema.TensorType, dtype) if isinstance(dtype, str) else dtype
    found = filled(schema.TensorT, shape=np.array(shape, np.int32), type=kind, isVariable=variable)
    if scale is not None:
        found.quantization = filled(
            schema.QuantizationParametersT, scale=np.array([scale], np.float32), zeroPoint=np.array([0], np.int64)
        )
    return found, data


def file(tensors, operators, inputs=(0,), outputs=None, custom=None):
    """A file of tensors and of operators (name or number, inputs, outputs); a custom one has the name `custom`."""
    model = filled(
        schema.ModelT, version=3, operatorCodes=[], buffers=[schema.BufferT()], subgraphs=[schema.SubGraphT()]
    )
    (subgraph,) = model.subgraphs
    subgraph.tensors, subgraph.operators = [], []
    for found, data in tensors:
        if data is not None:
            found.buffer = len(model.buffers)
            model.buffers.append(filled(schema.BufferT, data=np.frombuffer(np.asarray(data).tobytes(), np.uint8)))
        subgraph.tensors.append(found)
    for name, read, made in operators:
        number = getattr(schema.BuiltinOperator, name) if isinstance(name, str) else name
        code = filled(schema.OperatorCodeT, deprecatedBuiltinCode=min(number, 127), builtinCode=number, version=1)
        code.customCode = custom if name == "CUSTOM" else None
        op = filled(schema.OperatorT, opcodeIndex=len(model.operatorCodes))
        op.inputs, op.outputs = np.array(read, np.int32), np.array(made, np.int32)
        model.operatorCodes.append(code)
        subgraph.operators.append(op)
    subgraph.inputs = np.array(inputs, np.int32)
    subgraph.outputs = np.array(operators[-1][2] if outputs is None else outputs, np.int32)
    return packed(model)


def shared(references, width):
    """An ADD that reads one tensor `width` times: one table, which the list of operators has `references` times."""
    builder = flatbuffers.Builder(0)

    def numbers(values):
        return builder.CreateNumpyVector(np.array(values, np.int32))

    def tables(start, ones):
        start(builder, len(ones))
        for one in ones:
            builder.PrependUOffsetTRelative(one)
        return builder.EndVector()

    read, made, shape = numbers([0] * width), numbers([0]), numbers([1, 4])
    schema.OperatorStart(builder)
    schema.OperatorAddInputs(builder, read)
    schema.OperatorAddOutputs(builder, made)
    operators = tables(schema.SubGraphStartOperatorsVector, [schema.OperatorEnd(builder)] * references)
    schema.TensorStart(builder)
    schema.TensorAddShape(builder, shape)
    schema.TensorAddType(builder, schema.TensorType.INT8)
    tensors = tables(schema.SubGraphStartTensorsVector, [schema.TensorEnd(builder)])
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    schema.SubGraphAddInputs(builder, made)
    schema.SubGraphAddOutputs(builder, made)
    schema.SubGraphAddOperators(builder, operators)
    subgraphs = tables(schema.ModelStartSubgraphsVector, [schema.SubGraphEnd(builder)])
    schema.OperatorCodeStart(builder)
    codes = tables(schema.ModelStartOperatorCodesVector, [schema.OperatorCodeEnd(builder)])
    schema.BufferStart(builder)
    buffers = tables(schema.ModelStartBuffersVector, [schema.BufferEnd(builder)])
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddOperatorCodes(builder, codes)
    schema.ModelAddSubgraphs(builder, subgraphs)
    schema.ModelAddBuffers(builder, buffers)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())
