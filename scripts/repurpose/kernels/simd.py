"""Vectors of float32 as values inside numba loops: a row is loaded, multiplied and stored at once.

Why not plain loops over the row? numba cannot tell LLVM that two arrays do not overlap. So each inner loop
checks for overlap, and sums go through memory; the attention loops then take 1.2 to 1.8 times as long
(measured). A vector may have any width; LLVM splits it into the registers of the processor.

`load(width, array, row, column)` and `splat(width, x)` create vectors; `width` must be a constant when the
loop is compiled. `+ - *` take two vectors, or a number and a vector. `store`, `total`, `largest`, `exp` and
`choose` take vectors. `fetch(width, array, row, column)` brings data that will be loaded soon into the cache.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from repurpose.kernels import numba_private

FLOAT, INT = ir.FloatType(), ir.IntType(32)
LINE = 64  # bytes of a cache line
# exp(r) = 1 + r + r^2 P(r) as in Cephes' expf; coefficients from the highest power down, the last two are 1.
POLYNOMIAL = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
    1.0,
    1.0,
)
FAST = ("fast",)  # allows sums in any order, and a product and a sum in one instruction


class Vector(types.Type):
    """numba's type of a vector of float32."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Vector{width}")

    @property
    def llvm(self) -> ir.VectorType:
        """LLVM's type of the vector."""
        return ir.VectorType(FLOAT, self.width)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm)


@intrinsic(prefer_literal=True)
def load(typing, width, array, row, column):
    """The vector array[row, column:column + width] of a C-contiguous float32 array; no bounds check."""
    vector = Vector(width.literal_value)

    def emit(context, builder, sig, args):
        return builder.load(_address(context, builder, sig.args[1], args[1:], vector), align=4)

    return vector(width, array, types.int64, types.int64), emit


@intrinsic
def store(typing, array, row, column, vector):
    """Set array[row, column:column + width] to the vector; no bounds check."""

    def emit(context, builder, sig, args):
        builder.store(args[3], _address(context, builder, sig.args[0], args[:3], vector), align=4)

    return types.void(array, types.int64, types.int64, vector), emit


@intrinsic(prefer_literal=True)
def fetch(typing, width, array, row, column):
    """Prefetch the cache lines of array[row, column:column + width]; no bounds check."""
    size = 4 * width.literal_value

    def emit(context, builder, sig, args):
        address = _address(context, builder, sig.args[1], args[1:], Vector(1))
        start = builder.bitcast(address, ir.IntType(8).as_pointer())
        prefetch = _function(builder, "prefetch.p0i8", ir.VoidType(), [start.type, INT, INT, INT])
        for offset in range(0, size, LINE):
            read, keep, data = INT(0), INT(3), INT(1)
            builder.call(prefetch, [builder.gep(start, [INT(offset)]), read, keep, data])

    return types.void(width, array, types.int64, types.int64), emit


@intrinsic(prefer_literal=True)
def splat(typing, width, x):
    """The vector whose elements are all x."""
    vector = Vector(width.literal_value)

    def emit(context, builder, sig, args):
        return _splat(builder, args[1], vector)

    return vector(width, types.float32), emit


@intrinsic
def total(typing, vector):
    """The sum of a vector's elements."""

    def emit(context, builder, sig, args):
        reduce = _function(builder, f"vector.reduce.fadd.v{vector.width}f32", FLOAT, [FLOAT, vector.llvm])
        return builder.call(reduce, [FLOAT(0.0), args[0]], fastmath=FAST)

    return types.float32(vector), emit


@intrinsic
def largest(typing, vector):
    """The largest of a vector's elements."""

    def emit(context, builder, sig, args):
        reduce = _function(builder, f"vector.reduce.fmax.v{vector.width}f32", FLOAT, [vector.llvm])
        return builder.call(reduce, [args[0]], fastmath=FAST)

    return types.float32(vector), emit


@intrinsic
def exp(typing, vector):
    """exp of each element, exact to 1 unit in the last place; elements are clamped to -87 to 88.

    exp(x) = 2^k exp(r) with x = k ln 2 + r and |r| <= ln(2) / 2 (Cephes, Moshier 1989). ln 2 is the sum of
    two constants, exp(r) is a polynomial, and 2^k is set in the bits of the exponent.
    """

    def emit(context, builder, sig, args):
        def call(name, *operands):
            function = _function(
                builder, f"{name}.v{vector.width}f32", vector.llvm, [vector.llvm] * len(operands)
            )
            return builder.call(function, operands)

        def constant(x):
            return ir.Constant(vector.llvm, [x] * vector.width)

        x = call("minnum", call("maxnum", args[0], constant(-87.0)), constant(88.0))
        k = call("nearbyint", builder.fmul(x, constant(1.4426950408889634)))
        r = call("fma", k, constant(-0.693145751953125), x)
        r = call("fma", k, constant(-1.42860682030941723212e-6), r)
        p = constant(POLYNOMIAL[0])
        for factor in POLYNOMIAL[1:]:
            p = call("fma", p, r, constant(factor))
        integers = ir.VectorType(INT, vector.width)
        bits = builder.add(builder.fptosi(k, integers), ir.Constant(integers, [127] * vector.width))
        power = builder.bitcast(builder.shl(bits, ir.Constant(integers, [23] * vector.width)), vector.llvm)
        return builder.fmul(p, power)

    return vector(vector), emit


@intrinsic
def choose(typing, vector, factor, threshold, low, high):
    """Per element, `low` if vector * factor, rounded to float32, is below the threshold, else `high`."""

    def emit(context, builder, sig, args):
        x, low, high = args[0], args[3], args[4]
        factor, threshold = (_splat(builder, scalar, vector) for scalar in args[1:3])
        return builder.select(builder.fcmp_ordered("<", builder.fmul(x, factor), threshold), low, high)

    return vector(vector, types.float32, types.float32, vector, vector), emit


def _binary(function: Any, inplace: Any, instruction: str) -> None:
    """Define an operator for numba between two vectors, and between a number and a vector."""

    def result(_: Any) -> Any:
        def resolve(left, right):
            if isinstance(left, Vector) and left == right:
                return left(left, right)
            if isinstance(left, types.Float) and isinstance(right, Vector):
                return right(types.float32, right)
            return None

        return resolve

    def emit(context, builder, sig, args):
        left, right = args
        if not isinstance(sig.args[0], Vector):
            left = _splat(builder, left, sig.args[1])
        return getattr(builder, instruction)(left, right, flags=FAST)

    for operation in (function, inplace):
        type_callable(operation)(result)
        lower_builtin(operation, Vector, Vector)(emit)
        lower_builtin(operation, types.Float, Vector)(emit)


_binary(operator.add, operator.iadd, "fadd")
_binary(operator.sub, operator.isub, "fsub")
_binary(operator.mul, operator.imul, "fmul")


def _splat(builder: Any, x: Any, vector: Vector) -> Any:
    undefined = ir.Constant(vector.llvm, ir.Undefined)
    first = builder.insert_element(undefined, x, INT(0))
    zeros = ir.Constant(ir.VectorType(INT, vector.width), [0] * vector.width)
    return builder.shuffle_vector(first, undefined, zeros)


def _address(context: Any, builder: Any, array_type: Any, values: Any, vector: Vector) -> Any:
    """Pointer to the vector at `values` = (array, row, column); array_type is numba's type of the array."""
    pointer = numba_private.element_pointer(context, builder, array_type, *values)
    return builder.bitcast(pointer, vector.llvm.as_pointer())


def _function(builder: Any, name: str, result: ir.Type, arguments: list[ir.Type]) -> Any:
    return builder.module.declare_intrinsic(f"llvm.{name}", fnty=ir.FunctionType(result, arguments))
