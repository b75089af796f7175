module sluice/bench/mqtt

go 1.26.8

require sluice v0.0.0

replace sluice => ../..
