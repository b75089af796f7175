package preset

import (
	"log/slog"
)

// EMQX is the recipe for EMQX and EMQX Cloud.
type EMQX struct {
	Address      string   `yaml:"address" required:"true" doc:"where EMQX listens, as XXXX.emqxsl.com; tcp://HOST without TLS"`
	Addresses    []string `yaml:"addresses" doc:"further nodes of the cluster, each tried in turn when the one before does not work"`
	ClientID     string   `yaml:"client_id" doc:"how the gateway calls itself there; default: the gateway's name"`
	Username     string   `yaml:"username" doc:"user name, if there is authentication by password"`
	PasswordFile string   `yaml:"password_file" path:"secret" doc:"file that holds the password; read at every connection"`
	Line         `yaml:",inline"`
}

// EMQXBroker makes uplinks to EMQX.
func EMQXBroker(log *slog.Logger) Kind {
	return Kind{func() recipe { return &EMQX{Line: defaultLine()} }, log}
}

// Validate implements recipe.
func (o *EMQX) Validate(report func(path, problem string)) { check(o, report) }

// Endpoint implements recipe.
func (o *EMQX) Endpoint() string { return secureFirst(o.Address, "8883") }

// Route implements recipe. Rules of EMQX see a flat object's members as payload.NAME.
func (o *EMQX) Route() (to, format string) { return "{topic}", "object" }

func (o *EMQX) expand(string) plan {
	options := o.mqtt(o.Endpoint(), o.ClientID, "")
	options.Username, options.PasswordFile = o.Username, o.PasswordFile
	for _, address := range o.Addresses {
		options.Addresses = append(options.Addresses, secureFirst(address, "8883"))
	}
	return plan{options: options}
}
