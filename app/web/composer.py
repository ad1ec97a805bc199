"""What `composer.html` shows beside the conversation: what stands in the box, and what may be attached."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.attached import MAX_TEXT_BYTES
from app.core.files import AUDIO_TYPES, IMAGE_TYPES, MAX_FILE_BYTES, MAX_IMAGE_BYTES, PDF, file_id_in
from app.core.messages import FilePart, UIMessage
from app.core.model import Preset
from app.web.deps import Deps
from app.web.turn_form import MAX_FILES, TurnForm

_ATTACHABLE = sorted(IMAGE_TYPES | AUDIO_TYPES | {PDF})


def composer_values(deps: Deps, refused: TurnForm | None, edited: UIMessage | None) -> Mapping[str, object]:
    """`refused` is a message that was not accepted, `edited` one that is to be asked differently."""
    text, files = "", tuple[FilePart, ...]()
    if refused is not None:
        text, files = refused.fields.get("text", ""), refused.files
    elif edited is not None:
        text = edited.text
        files = tuple(part for part in edited.parts if isinstance(part, FilePart) and file_id_in(part.url) is not None)

    def takes(preset: Preset) -> str:
        """The types that may be attached for it, beside text."""
        taken = [deps.services.takes(each) for each in deps.configuration().behind(preset)]
        return " ".join(media_type for media_type in _ATTACHABLE if any(media_type in types for types in taken))

    return {
        "text": text,
        "files": files,
        "takes": takes,
        "max_files": MAX_FILES,
        "max_image_bytes": MAX_IMAGE_BYTES,
        "max_file_bytes": MAX_FILE_BYTES,
        "max_text_bytes": MAX_TEXT_BYTES,
    }
