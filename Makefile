# The front door. Meson does the work.
.PHONY: all
BUILD ?= build
all: $(BUILD)/build.ninja
	ninja -C $(BUILD)
$(BUILD)/build.ninja:
	meson setup $(BUILD)
