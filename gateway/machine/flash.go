package machine

import (
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Flash is what an eMMC says about its own wear [JESD84-B51, EXT_CSD 267 to 269].
type Flash struct {
	Device string // mmcblk0
	Name   string // as its maker calls it
	// Used is the part of the life that is used up, in percent from 10 to 100 in steps of 10 and 110 for
	// more than all of it: that of the worse kind of cells. nil: it does not say.
	Used *int
	// Spare is normal, warning (80 % of the spare blocks are used) or urgent; empty: it does not say.
	Spare string
}

var partition = regexp.MustCompile(`^mmcblk[0-9]+`)

// ReadFlash reads the wear of the eMMC that holds the block device major:minor; false when the device is
// no eMMC, or one that says nothing.
func ReadFlash(root fs.FS, major, minor uint32) (Flash, bool) {
	event := file(root, path.Join("sys/dev/block", strconv.FormatUint(uint64(major), 10)+":"+strconv.FormatUint(uint64(minor), 10), "uevent"))
	for text := range strings.Lines(string(event)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(text), "DEVNAME=")
		if !ok {
			continue
		}
		device := partition.FindString(name)
		if device == "" {
			return Flash{}, false
		}
		at := path.Join("sys/block", device, "device")
		f := Flash{Device: device, Name: line(root, at+"/name"), Used: used(line(root, at+"/life_time")), Spare: spare(line(root, at+"/pre_eol_info"))}
		return f, f.Used != nil || f.Spare != ""
	}
	return Flash{}, false
}

// used reads "0x01 0x02": tenths of the life of the two kinds of cells. 0 is not defined.
func used(text string) *int {
	worst := int64(0)
	for _, word := range strings.Fields(text) {
		tenths, err := strconv.ParseInt(strings.TrimPrefix(word, "0x"), 16, 32)
		if err == nil && tenths <= 0x0b {
			worst = max(worst, tenths)
		}
	}
	if worst == 0 {
		return nil
	}
	percent := int(worst) * 10
	return &percent
}

func spare(text string) string {
	return map[string]string{"0x01": "normal", "0x02": "warning", "0x03": "urgent"}[text]
}
