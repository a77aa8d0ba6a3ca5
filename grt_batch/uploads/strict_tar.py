"""tar headers read strictly: a fault ends the archive, where tarfile alone would pass over it."""

from __future__ import annotations

import tarfile
from typing import Any

from grt_batch.core.errors import Quarantine

_HEADER_LIMIT = 8 << 10
"""The largest long name or pax record: tarfile would read any size into memory."""


_READ_INTO_MEMORY = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class StrictTarInfo(tarfile.TarInfo):
    """Quarantine an archive with a broken header, which tarfile would take for the end of the tar."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> StrictTarInfo:
        """Return the next header. Raises Quarantine for a broken or missing one."""
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            if not tarfile_.offset:
                raise Quarantine("its tar is empty: its gzip unpacks to 0 bytes") from None
            raise Quarantine("its tar has no end mark: it was cut off") from None
        except tarfile.HeaderError as error:
            raise Quarantine(f"its tar has a broken header: {error}") from None

    def _proc_member(self, tarfile_: tarfile.TarFile) -> Any:
        if self.size < 0:
            raise Quarantine(f"its tar has an entry of {self.size} bytes")
        if self.type in _READ_INTO_MEMORY and self.size > _HEADER_LIMIT:
            raise Quarantine(f"its tar has a header of {self.size} bytes")
        return super()._proc_member(tarfile_)  # type: ignore[misc]

    def _apply_pax_info(self, pax_headers: dict[str, str], encoding: str, errors: str) -> None:
        # These records may claim any size, even for an entry that is not sparse.
        if any(keyword.startswith("GNU.sparse.") for keyword in pax_headers):
            self._refuse_sparse()
        super()._apply_pax_info(pax_headers, encoding, errors)  # type: ignore[misc]

    def _refuse_sparse(self, *_: Any) -> Any:
        raise Quarantine("its tar has a sparse file")

    # No limit counts the holes of a sparse file, and tarfile reads the map of them into memory.
    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse
