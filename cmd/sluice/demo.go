package main

import (
	"context"
	"flag"
	"log/slog"
	"os"

	"sluice/gateway/demo"
	"sluice/gateway/journal"
)

func runDemo(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sluice demo", flag.ContinueOnError)
	records := journal.New()
	o := demo.Options{Version: version, Out: os.Stdout, Log: slog.New(records.Handler(textLog(slog.LevelDebug))), Journal: records}
	flags.StringVar(&o.Web, "web", "127.0.0.1:8080", "address of the page")
	flags.StringVar(&o.MQTT, "mqtt", "127.0.0.1:1883", "address of the gateway's MQTT listener")
	flags.StringVar(&o.Cloud, "cloud", "127.0.0.1:1884", "address of the simulated cloud")
	flags.StringVar(&o.Password, "password", "sluice-demo", "the administrator's password")
	if err := parse(flags, args); err != nil {
		return err
	}
	return demo.Run(ctx, o)
}
