"""The canvas: one image with its heat map, regions and live threshold.

* `panel.CanvasPanel` - the centre of the window. Methods: `set_image(pixels, name)`, `set_map(map, ...)`,
  `set_regions(regions, selected=)`, `set_selected(key)`, `set_rule(rule)`, `set_live_visible(bool)`, `set_mode(mode)`,
  `set_tool(tool)`, `set_colour_map(name)`, `set_opacity(0..1)`, `set_cut(bool)`, `set_overlays_hidden(bool)` (H held),
  `set_regions_visible(bool)` (T), `set_fill(0..1)`, `set_message(title, text)`, `fit()` (F), `zoom_to(1.0)` (Ctrl+0),
  `zoom_by(factor)`. Signals: `box_drawn(BoxDrawn)`, `box_changed(BoxChanged)`, `region_selected(key | None)`,
  `region_deleted(key)`, `cursor_moved(CursorReading | None)`, `zoom_changed(float)`, `mode_changed(str)`,
  `tool_changed(str)`, `threshold_found(LiveThreshold)`, `colour_map_changed(str)`, `opacity_changed(float)`.
* `records` - `Region`, `BoxDrawn`, `BoxChanged`, `CursorReading`, `LiveThreshold`, `ViewMode`, `Tool`.

Keys are the window's actions (they call these methods); the view itself handles only what needs the pointer or a
selected region: Space held or the middle button pans, the wheel zooms, arrow keys nudge, Delete deletes, Escape leaves.
"""
