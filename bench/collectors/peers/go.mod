module sluice/bench/collectors/peers

go 1.26.8

require github.com/influxdata/telegraf v1.36.4
