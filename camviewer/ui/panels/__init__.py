"""The side panels. Each shows records that its owner sets and emits what the person chose; none writes the project.

Right side, top to bottom (each is a foldable section):

* `classes.ClassesPanel` - `set_scores(scores, table)`, `set_temperature(temperature)`, `set_current(class_index)`;
  signals `class_chosen(int)` (model class index), `class_pinned(object)` (index or None).
* `method.MethodPanel` - `set_methods(names)`, `set_choice(MethodChoice)`, `choice()`, `set_unavailable(reasons)`,
  `set_result(seconds, precision, flags)`, `set_busy(text)`; signals `choice_changed(MethodChoice)`,
  `recompute_requested()`.
* `threshold.ThresholdPanel` - `set_map(map | None)`, `set_rule(rule)`, `rule()`, `set_live(LiveThreshold)`; signals
  `rule_changed(RegionRule)` (at every step of the slider), `rule_committed(RegionRule)` (when it comes to rest).
* `regions.RegionsPanel` - `set_regions(regions, size, selected=)`, `set_selected(key)`; signals
  `region_selected(key | None)`, `region_deleted(key)`, `region_shown(key, bool)`, `regions_shown(bool)`,
  `box_requested()`.
* `image.ImagePanel` - `set_image(ImageFacts | None)`; signals `note_changed(str)`, `flags_changed(tuple)`.

Left side:

* `model.ModelPanel` - `set_summary(ModelSummary | None)`, `set_check(error | None)`, `set_busy(text)`,
  `set_chosen(names)`, `chosen()`; signals `layers_chosen(tuple of names)`, `open_requested()`.
"""
