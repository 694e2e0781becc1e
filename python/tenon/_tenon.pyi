from typing import Any, Dict, Tuple

DTYPES: Dict[str, Tuple[int, int, str]]

def __getattr__(name: str) -> Any: ...
