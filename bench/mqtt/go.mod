module sluice/bench/mqtt

go 1.26.8
