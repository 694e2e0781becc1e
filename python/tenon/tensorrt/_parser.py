"""OnnxParser, with error objects."""

import os
import re
from typing import Any, List, Optional, Tuple

from .._errors import Error
from .._model import Model
from ._basics import ILogger, Reporter, use_logger
from ._enums import ErrorCode, OnnxParserFlag
from ._network import INetworkDefinition

_CODES = {"UNSUPPORTED": ErrorCode.UNSUPPORTED_NODE, "CORRUPT": ErrorCode.MODEL_DESERIALIZE_FAILED,
          "OUT_OF_MEMORY": ErrorCode.MEM_ALLOC_FAILED, "NOT_FOUND": ErrorCode.INVALID_VALUE,
          "INVALID": ErrorCode.INVALID_GRAPH}


class ParserError:
    """One thing that is wrong with a model: a sentence, the node and operator it is about where
    that is known, and the line of the library that said so."""

    def __init__(self, code: ErrorCode, desc: str, trail: str):
        self._code, self._desc, self._trail = code, desc, trail
        place = re.search(r"at (\S+\.c):(\d+)\s+(\w+)", trail)
        self._place = (place.group(1), int(place.group(2)), place.group(3)) if place else ("", 0, "")
        node = re.search(r"\b([A-Z]\w*) (?:\(\d+ nodes?: )?'([^']*)'", desc)
        self._operator, self._name = node.groups() if node else ("", "")
        number = re.search(r"node (\d+)", trail)
        self._node = int(number.group(1)) - 1 if number else -1

    def code(self) -> ErrorCode:
        return self._code

    def desc(self) -> str:
        return self._desc

    def file(self) -> str:
        return self._place[0]

    def line(self) -> int:
        return self._place[1]

    def func(self) -> str:
        return self._place[2]

    def node(self) -> int:
        return self._node

    def node_name(self) -> str:
        return self._name

    def node_operator(self) -> str:
        return self._operator

    def local_function_stack(self) -> List[str]:
        return []

    def __str__(self) -> str:
        where = f"In node {self._node} with name: {self._name} and operator: {self._operator} " if \
            self._node >= 0 or self._name else ""
        return f"{where}({self.func() or 'parse'}): {self._code.name}: {self._desc}"

    __repr__ = __str__


class OnnxParser(Reporter):
    """Reads ONNX into a network. All that is wrong is told at once: ``num_errors``,
    ``get_error(i)``."""

    def __init__(self, network: INetworkDefinition, logger: Optional[ILogger] = None):
        self.logger = use_logger(logger)
        self._network = network
        self._errors: List[ParserError] = []
        self.flags = 1 << int(OnnxParserFlag.NATIVE_INSTANCENORM)

    def _fail(self, error: Error) -> None:
        code = _CODES.get(error.code, ErrorCode.INTERNAL_ERROR)
        head, sign, rest = error.message.partition(" are not supported: ")
        found = [f"{one} is not supported" for one in re.findall(r"\S+ \([^)]*\)", rest)]
        self._errors += [ParserError(code, line, error.trail) for line in found or [error.message]]
        self.report(error)

    def _take(self, model: Any, *args: Any) -> bool:
        self.clear_errors()
        try:
            self._network._take(model(*args))
        except Error as error:
            self._fail(error)
            return False
        return True

    def parse(self, model: bytes, path: Optional[str] = None) -> bool:
        """Read a model from memory; external data may lie in the folder of ``path``."""
        folder = None if path is None else os.path.dirname(os.path.abspath(path))
        return self._take(Model.from_bytes, bytes(model), folder)

    def parse_from_file(self, model: str) -> bool:
        return self._take(Model, model)

    def parse_with_weight_descriptors(self, model: bytes, path: Optional[str] = None) -> bool:
        return self.parse(model, path)

    def supports_model(self, model: bytes, path: Optional[str] = None) -> Tuple[bool, List]:
        """(True, [([nodes], True)]), or False with the errors to look at."""
        folder = None if path is None else os.path.dirname(os.path.abspath(path))
        self.clear_errors()
        try:
            count = len(Model.from_bytes(bytes(model), folder).text("graph").splitlines())
        except Error as error:
            self._fail(error)
            return False, []
        return True, [(list(range(count)), True)]

    def supports_operator(self, op_name: str) -> bool:
        """Is there an operator of ONNX of this name?"""
        try:
            Model.from_problem(f"{op_name} f32[1]")
        except Error as error:
            return error.code != "NOT_FOUND"  # its operands are wrong, of course
        return True

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]

    def clear_errors(self) -> None:
        self._errors = []

    def set_flag(self, flag: OnnxParserFlag) -> None:
        self.flags |= 1 << int(flag)

    def clear_flag(self, flag: OnnxParserFlag) -> None:
        self.flags &= ~(1 << int(flag))

    def get_flag(self, flag: OnnxParserFlag) -> bool:
        return bool(self.flags >> int(flag) & 1)

    def get_used_vc_plugin_libraries(self) -> List[str]:
        return []
