# Which slot is started, by U-Boot's environment, whose two copies are written in turns: what grub/grub.cfg does where
# there is GRUB. RAUC takes a slot that is not good out of BOOT_ORDER, and puts the one to start first at its
# head; BOOT_x_LEFT counts tries, and RAUC's mark-good gives them back. So a slot in BOOT_ORDER without tries
# has failed, and one that is not in it may be half of a system.
# ${devtype} and ${devnum} name the disk; U-Boot's own search for this script sets them, and so does env.config.
env exists BOOT_ORDER || env set BOOT_ORDER A
env exists BOOT_A_LEFT || env set BOOT_A_LEFT 3
env exists BOOT_B_LEFT || env set BOOT_B_LEFT 0

env set slot
for round in 1 2; do
	for s in ${BOOT_ORDER}; do
		if test -z "${slot}"; then
			if test "${s}" = A; then
				if test "${BOOT_A_LEFT}" -gt 0; then env set slot A; fi
			fi
			if test "${s}" = B; then
				if test "${BOOT_B_LEFT}" -gt 0; then env set slot B; fi
			fi
		fi
	done
	if test -z "${slot}"; then
		# Everything that is good was tried three times: from the beginning. BOOT_ORDER keeps out what is not good.
		env set BOOT_A_LEFT 3
		env set BOOT_B_LEFT 3
	fi
done
if test -z "${slot}"; then
	# Nothing is good, which no update leaves behind: whatever has a kernel.
	env set slot A
	part number ${devtype} ${devnum} rootfs-a part
	if test -e ${devtype} ${devnum}:${part} /boot/vmlinuz; then true; else env set slot B; fi
fi
if test "${slot}" = A; then
	setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1
	env set label rootfs-a
else
	setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1
	env set label rootfs-b
fi
env save

echo "Sluice: slot ${slot}, order: ${BOOT_ORDER}, left: A=${BOOT_A_LEFT} B=${BOOT_B_LEFT}"
part number ${devtype} ${devnum} ${label} part
env set from "${devtype} ${devnum}:${part}"
env set cmdline
if load ${from} ${scriptaddr} /boot/cmdline; then env import -t ${scriptaddr} ${filesize} cmdline; fi
# The slot's own device tree, or the one that the firmware before U-Boot has handed over, or U-Boot's.
env set tree ${fdtcontroladdr}
if test -n "${fdt_addr}"; then env set tree ${fdt_addr}; fi
if test -n "${fdtfile}"; then
	if test -e ${from} /boot/dtb/${fdtfile}; then
		if load ${from} ${fdt_addr_r} /boot/dtb/${fdtfile}; then env set tree ${fdt_addr_r}; fi
	fi
fi
env set bootargs "root=PARTLABEL=${label} rauc.slot=${slot} ${cmdline} ${extra}"
if load ${from} ${kernel_addr_r} /boot/vmlinuz; then
	if load ${from} ${ramdisk_addr_r} /boot/initrd.img; then
		booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${tree}
	fi
fi
# The slot does not load: it has lost a try, and the next start may take the other.
sleep 2
reset
