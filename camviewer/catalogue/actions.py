"""Every action of the window: name, keys, menu, what it does. Menus, tooltips and the keys page are built from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Menu = Literal["File", "Edit", "View", "Image", "Regions", "Model", "Jobs", "Help", ""]
Needs = Literal["", "image", "images", "several", "model", "map", "region", "job"]

MENUS: tuple[Menu, ...] = ("File", "Edit", "View", "Image", "Regions", "Model", "Jobs", "Help")


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action.

    Attributes:
        id: identifier.
        text: name in menus, sentence case; an ellipsis where a dialog follows.
        keys: shortcuts in portable notation, the first is shown.
        menu: menu it stands in; empty for keys that the canvas or the gallery handles by itself.
        tip: what it does, one sentence; tooltip and keys page.
        icon: name of its icon, empty for none.
        needs: what must be there for it to be enabled.
        checkable: whether it is a state.
        group: exclusive choice it belongs to.
        separator: whether a line stands above it in the menu.
    """

    id: str
    text: str
    keys: tuple[str, ...]
    menu: Menu
    tip: str
    icon: str = ""
    needs: Needs = ""
    checkable: bool = False
    group: str = ""
    separator: bool = False


ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec(
        "open_folder", "Open folder…", ("Ctrl+O",), "File", "Open a folder of images with all below it", "folder"
    ),
    ActionSpec("open_images", "Open images…", ("Ctrl+Shift+O",), "File", "Open single image files", "image"),
    ActionSpec("open_project", "Open project…", ("Ctrl+Alt+O",), "File", "Open a project file", "file"),
    ActionSpec(
        "locate_images",
        "Locate images…",
        (),
        "File",
        "Find images that were moved, by their content",
        "search",
        "images",
    ),
    ActionSpec("open_demo", "Open the demo", (), "File", "Open the bundled model and synthetic images", "demo"),
    ActionSpec(
        "export", "Export…", ("Ctrl+E",), "File", "Write boxes, masks or overlays", "export", "images", separator=True
    ),
    ActionSpec(
        "import_annotations",
        "Import annotations…",
        ("Ctrl+Shift+I",),
        "File",
        "Read COCO, VOC, YOLO, LabelMe or masks, to go on with or to compare with",
        "file",
        "images",
    ),
    ActionSpec(
        "dicom_tags",
        "DICOM tags…",
        (),
        "File",
        "What a DICOM file says besides its picture; patient data only on request, and never exported",
        "info",
        "image",
    ),
    ActionSpec("close_project", "Close project", ("Ctrl+W",), "File", "Go back to the welcome page", needs="images"),
    ActionSpec("quit", "Quit", ("Ctrl+Q",), "File", "Close the window; running jobs are cancelled", separator=True),
    ActionSpec("undo", "Undo", ("Ctrl+Z",), "Edit", "Take back the last edit", "undo", "image"),
    ActionSpec("redo", "Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Edit", "Do the edit again", "redo", "image"),
    ActionSpec(
        "delete_region",
        "Delete region",
        ("Delete",),
        "Edit",
        "Delete the selected region",
        "trash",
        "region",
        separator=True,
    ),
    ActionSpec(
        "search",
        "Search images",
        ("Ctrl+F",),
        "Edit",
        "Filter the gallery by name, class, confidence, flags and more; Down lists what there is",
        "search",
        "images",
    ),
    ActionSpec(
        "select_all", "Select all images", ("Ctrl+Shift+L",), "Edit", "Select what the gallery shows", needs="images"
    ),
    ActionSpec(
        "same_lesion",
        "Images of the same lesion",
        ("L",),
        "Edit",
        "Show only the images of this lesion in the gallery; again for all",
        needs="image",
    ),
    ActionSpec(
        "settings",
        "Settings…",
        ("Ctrl+,",),
        "Edit",
        "Surroundings, thumbnails kept on the disk",
        "settings",
        separator=True,
    ),
    ActionSpec(
        "workspace_review",
        "Review workspace",
        ("Ctrl+1",),
        "View",
        "Image, regions and gallery; the model is a rail",
        "image",
        checkable=True,
        group="workspace",
    ),
    ActionSpec(
        "workspace_model",
        "Model workspace",
        ("Ctrl+2",),
        "View",
        "Layers and checkpoint beside the image",
        "model",
        checkable=True,
        group="workspace",
    ),
    ActionSpec(
        "view_original",
        "Original",
        ("Ctrl+Alt+1",),
        "View",
        "Show the image alone",
        needs="image",
        checkable=True,
        group="mode",
        separator=True,
    ),
    ActionSpec(
        "view_heatmap",
        "Heat map",
        ("Ctrl+Alt+2",),
        "View",
        "Show the map alone",
        needs="image",
        checkable=True,
        group="mode",
    ),
    ActionSpec(
        "view_blend",
        "Blend",
        ("Ctrl+Alt+3",),
        "View",
        "Show the map over the image",
        needs="image",
        checkable=True,
        group="mode",
    ),
    ActionSpec(
        "toggle_map",
        "Heat map on or off",
        ("Q",),
        "View",
        "Show the map over the image, or the image alone",
        "layers",
        "image",
    ),
    ActionSpec(
        "compare",
        "Compare",
        ("G",),
        "View",
        "Compare methods and classes on one zoom and under one cursor",
        "grid",
        "model",
        checkable=True,
    ),
    ActionSpec(
        "show_cells",
        "Show map cells",
        ("C",),
        "View",
        "Draw the borders of the map's cells on the image",
        needs="map",
        checkable=True,
    ),
    ActionSpec("fit", "Fit", ("F",), "View", "Show the whole image", "fit", "image", separator=True),
    ActionSpec("zoom_actual", "Actual size", ("Ctrl+0",), "View", "One image pixel on one screen pixel", needs="image"),
    ActionSpec("zoom_in", "Zoom in", ("+", "="), "View", "Larger; Ctrl and the wheel do the same", needs="image"),
    ActionSpec("zoom_out", "Zoom out", ("-",), "View", "Smaller", needs="image"),
    ActionSpec(
        "toggle_regions",
        "Show regions",
        ("T",),
        "View",
        "Show or hide all regions",
        "eye",
        "image",
        checkable=True,
        separator=True,
    ),
    ActionSpec("hide_overlays", "Hide overlays while held", ("H",), "", "Hold to see the bare image", needs="image"),
    ActionSpec(
        "toggle_panel",
        "Show panel",
        ("Ctrl+Shift+P",),
        "View",
        "Show or hide the right panel; in a narrow window it lies over the image",
        checkable=True,
    ),
    ActionSpec("toggle_gallery", "Show gallery", ("Ctrl+G",), "View", "Show or fold the gallery", checkable=True),
    ActionSpec(
        "theme_system",
        "Colours of the system",
        (),
        "View",
        "Follow light and dark of the system",
        checkable=True,
        group="theme",
        separator=True,
    ),
    ActionSpec("theme_dark", "Dark", (), "View", "Dark surroundings", checkable=True, group="theme"),
    ActionSpec("theme_light", "Light", (), "View", "Light surroundings", checkable=True, group="theme"),
    ActionSpec("next_pane", "Next pane", ("F6",), "View", "Move the focus to the next pane", separator=True),
    ActionSpec(
        "previous", "Previous image", ("A", "Ctrl+Left"), "Image", "Go to the image before", "chevron-left", "image"
    ),
    ActionSpec("next", "Next image", ("D", "Ctrl+Right"), "Image", "Go to the image after", "chevron-right", "image"),
    ActionSpec(
        "previous_unreviewed",
        "Previous unreviewed",
        ("Ctrl+Shift+A",),
        "Image",
        "Go back to an image that is not reviewed",
        needs="image",
    ),
    ActionSpec(
        "next_unreviewed",
        "Next unreviewed",
        ("Ctrl+Shift+D",),
        "Image",
        "Go on to an image that is not reviewed",
        needs="image",
    ),
    ActionSpec(
        "mark_reviewed",
        "Mark reviewed",
        ("Return", "Enter"),
        "Image",
        "Mark reviewed and go to the next unreviewed",
        "check",
        "image",
        separator=True,
    ),
    ActionSpec("skip", "Skip", ("S",), "Image", "Leave this image out and go on", "skip", "image"),
    ActionSpec(
        "skip_because",
        "Skip with a reason…",
        ("X",),
        "Image",
        "Leave this image out, say why, and go on",
        needs="image",
    ),
    ActionSpec("reopen", "Take back review", (), "Image", "Make this image unreviewed again", needs="image"),
    ActionSpec(
        "review_selected",
        "Mark selected reviewed",
        ("Ctrl+Return",),
        "Image",
        "Mark all selected images reviewed, as they are",
        "check",
        "several",
        separator=True,
    ),
    ActionSpec(
        "skip_selected", "Skip selected", ("Ctrl+Shift+S",), "Image", "Leave all selected images out", "skip", "several"
    ),
    ActionSpec(
        "reopen_selected",
        "Take back selected",
        (),
        "Image",
        "Make all selected images unreviewed again",
        needs="several",
    ),
    ActionSpec(
        "compute_selected",
        "Compute selected",
        ("Ctrl+I",),
        "Image",
        "Compute the selected images anew",
        "play",
        "several",
    ),
    ActionSpec(
        "accept_sure",
        "Accept the least doubtful…",
        (),
        "Image",
        "Mark masks with little doubt reviewed at once, and check a random sample of them by eye",
        "check",
        "images",
        separator=True,
    ),
    ActionSpec(
        "blind",
        "Blind review",
        (),
        "Image",
        "Shuffle the images and hide names, predictions and diagnoses",
        "eye-off",
        "images",
        checkable=True,
    ),
    ActionSpec(
        "tool_select",
        "Select",
        ("V",),
        "Regions",
        "Select, move and resize regions",
        "select",
        "image",
        checkable=True,
        group="tool",
    ),
    ActionSpec("tool_box", "Box", ("W", "R"), "Regions", "Draw a box", "box", "image", checkable=True, group="tool"),
    ActionSpec(
        "tool_polygon",
        "Polygon",
        ("P",),
        "Regions",
        "Click corners or drag; Enter or a double click closes the polygon",
        "polygon",
        "image",
        checkable=True,
        group="tool",
    ),
    ActionSpec(
        "tool_brush",
        "Brush",
        ("B",),
        "Regions",
        "Paint a mask; the right button erases, Shift draws a straight line",
        "brush",
        "image",
        checkable=True,
        group="tool",
    ),
    ActionSpec(
        "tool_eraser",
        "Eraser",
        ("E",),
        "Regions",
        "Erase from a mask; the right button paints",
        "eraser",
        "image",
        checkable=True,
        group="tool",
    ),
    ActionSpec(
        "tool_fill",
        "Fill",
        ("K",),
        "Regions",
        "Fill a hole or an area of similar colour; the right button removes a piece",
        "fill",
        "image",
        checkable=True,
        group="tool",
    ),
    ActionSpec("brush_smaller", "Smaller brush", ("[",), "Regions", "Make brush and eraser smaller", needs="image"),
    ActionSpec("brush_larger", "Larger brush", ("]",), "Regions", "Make brush and eraser larger", needs="image"),
    ActionSpec(
        "mask_largest",
        "Keep the largest piece",
        ("Shift+L",),
        "Regions",
        "Remove all pieces of the mask but the largest",
        needs="image",
        separator=True,
    ),
    ActionSpec("mask_fill", "Fill holes", ("Shift+F",), "Regions", "Close all holes of the mask", needs="image"),
    ActionSpec(
        "mask_small",
        "Remove small pieces",
        ("Shift+R",),
        "Regions",
        "Remove the pieces of the mask below 5 % of the largest",
        needs="image",
    ),
    ActionSpec(
        "mask_smooth", "Smooth the outline", ("Shift+S",), "Regions", "Even out the edge of the mask", needs="image"
    ),
    ActionSpec(
        "mask_snap",
        "Snap the mask to the colours",
        ("Shift+G",),
        "Regions",
        "Move the outline to where the colours part (GrabCut); the peak of the map stays inside",
        needs="image",
    ),
    ActionSpec(
        "box_from_mask",
        "Snap the box to the mask",
        ("Shift+B",),
        "Regions",
        "Fit the selected box to the mask of its class, or draw a box around the selected mask",
        needs="region",
        separator=True,
    ),
    ActionSpec(
        "mask_from_box",
        "Mask from the box",
        ("Shift+M",),
        "Regions",
        "Add the inside of the selected box to the mask of its class",
        needs="region",
    ),
    ActionSpec(
        "copy_regions",
        "Copy regions to the next image",
        ("Shift+D",),
        "Regions",
        "Copy boxes and masks to the next image and go there",
        needs="image",
        separator=True,
    ),
    ActionSpec(
        "assign_class",
        "Class of regions",
        ("1", "…", "9"),
        "",
        "Give the selected region the class of this number, or choose it for new ones",
        needs="image",
    ),
    ActionSpec(
        "choose_threshold",
        "Choose threshold…",
        (),
        "Regions",
        "Find the rule that fits the reviewed masks best, and redraw the rest by it",
        "chart",
        "images",
        separator=True,
    ),
    ActionSpec("open_model", "Open model…", ("Ctrl+M",), "Model", "Open a checkpoint or a known network", "model"),
    ActionSpec("next_method", "Next method", ("M",), "Model", "Compute with the next method", needs="map"),
    ActionSpec(
        "new_classes",
        "New classes…",
        ("Ctrl+Shift+N",),
        "Model",
        "Teach the model classes of your own by labelling a few images",
        "plus",
        "images",
        checkable=True,
    ),
    ActionSpec(
        "guide",
        "Guide by masks…",
        (),
        "Model",
        "Go on training the model so that it looks where the reviewed masks are",
        "target",
        "model",
    ),
    ActionSpec(
        "convert",
        "Convert to GAP or GMP…",
        (),
        "Model",
        "Give the open network global pooling and one linear layer, as exact maps need",
        "layers",
        separator=True,
    ),
    ActionSpec("train", "Train…", (), "Model", "Train a network, with live curves", "play"),
    ActionSpec(
        "compare_checkpoints",
        "Compare checkpoints…",
        (),
        "Model",
        "The same images under several checkpoints, with their measures",
        "grid",
    ),
    ActionSpec(
        "class_by_rank",
        "Map of the class by rank",
        ("Alt+1", "…", "Alt+9"),
        "",
        "Show the map of the most likely class, the second, …",
        needs="map",
    ),
    ActionSpec("compute", "Compute this image", ("I",), "Jobs", "Compute the maps of this image", "play", "model"),
    ActionSpec(
        "compute_all",
        "Compute all images",
        ("Ctrl+B",),
        "Jobs",
        "Compute every image that is not reviewed",
        "layers",
        "model",
    ),
    ActionSpec("cancel", "Cancel the job", ("Ctrl+.",), "Jobs", "Stop; what is computed stays", "close", "job"),
    ActionSpec("keys", "Keys", ("F1",), "Help", "All keys on one page", "keyboard"),
    ActionSpec(
        "self_check",
        "Self-check…",
        (),
        "Help",
        "Versions, devices and folders of this installation, and what is wrong with it",
        "check",
        separator=True,
    ),
    ActionSpec("show_log", "Open the log folder", (), "Help", "Where messages and errors are written"),
    ActionSpec("about", "About camviewer", (), "Help", "Version, licences, what it is not for", "info"),
)

GESTURES: tuple[tuple[str, str], ...] = (
    ("Space, held", "Drag to pan"),
    ("Wheel, Ctrl + wheel", "Zoom at the pointer"),
    ("Arrow keys", "Move the selected box by 1 pixel; with Shift by 10; with Ctrl resize it"),
    ("Arrow keys, Enter", "With a tool for masks: move the pen, use the tool there"),
    ("Shift + click", "With the brush: a straight line from where the last stroke ended"),
    ("Arrow keys, Enter", "In the comparison: choose a cell, show it alone"),
    ("Right button", "With brush, eraser and fill: the opposite"),
    ("Enter, Backspace, Esc", "With the polygon: close it, take the last corner back, drop it"),
    ("Tab, Shift + Tab", "Next and previous region on the canvas, then next and previous control"),
)
"""What hand and wheel do on the canvas; the keys page lists it after the actions."""

BY_ID = {spec.id: spec for spec in ACTIONS}
