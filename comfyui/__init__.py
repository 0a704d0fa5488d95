"""RetouchGPT in ComfyUI: put this folder, or a link to it, into ComfyUI's custom_nodes."""

from .nodes import Retouch

NODE_CLASS_MAPPINGS = {"RetouchGPT": Retouch}
NODE_DISPLAY_NAME_MAPPINGS = {"RetouchGPT": "Retouch portrait (RetouchGPT)"}
__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
