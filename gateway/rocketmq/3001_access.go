package rocketmq

import (
	"strings"

	"sluice/gateway/remoting"
	"sluice/gateway/rocketmq/acl"
)

// 3001 AUTH_CREATE_USER, 3002 AUTH_UPDATE_USER, 3003 AUTH_DELETE_USER, 3006 AUTH_CREATE_ACL, 3007 AUTH_UPDATE_ACL,
// 3008 AUTH_DELETE_ACL
//
// Supported: refused with a remark that says where accounts are configured.
func (s *Server) changeAccess(*request) (answer, error) {
	return answer{}, refuse(remoting.NoPermission, "accounts are configured in the gateway's file or on its page, not from here")
}

// 3004 AUTH_GET_USER, 3005 AUTH_LIST_USER, 3009 AUTH_GET_ACL, 3010 AUTH_LIST_ACL
//
// Supported: the configured accounts as users, what they may do as policies.
// Left out: secret keys are never told; lists filter by a part of the name.
func (s *Server) getUser(r *request) (answer, error) {
	name, err := r.text("username")
	if err != nil {
		return answer{}, err
	}
	for _, a := range s.options.Access.Accounts() {
		if a.AccessKey == name {
			body, err := jsonBody(userOf(a))
			return answer{body: body}, err
		}
	}
	return answer{}, refuse(remoting.UserNotExist, "The user is not exist.")
}

func (s *Server) listUsers(r *request) (answer, error) {
	filter := r.frame.Ext.Get("filter")
	list := []user{}
	for _, a := range s.options.Access.Accounts() {
		if strings.Contains(a.AccessKey, filter) {
			list = append(list, userOf(a))
		}
	}
	body, err := jsonBody(list)
	return answer{body: body}, err
}

// user is an account as tools show it.
type user struct {
	Status string `json:"userStatus"`
	Type   string `json:"userType"`
	Name   string `json:"username"`
}

func userOf(a acl.Account) user {
	kind := "Normal"
	if a.Admin {
		kind = "Super"
	}
	return user{"enable", kind, a.AccessKey}
}

const subjectPrefix = "User:"

func (s *Server) getACL(r *request) (answer, error) {
	subject, err := r.text("subject")
	if err != nil {
		return answer{}, err
	}
	for _, a := range s.options.Access.Accounts() {
		if subjectPrefix+a.AccessKey == subject {
			body, err := jsonBody(policiesOf(a))
			return answer{body: body}, err
		}
	}
	return answer{}, refuse(remoting.PolicyNotExist, "The acl is not exist.")
}

func (s *Server) listACLs(r *request) (answer, error) {
	subject, resource := r.frame.Ext.Get("subjectFilter"), r.frame.Ext.Get("resourceFilter")
	list := []policies{}
	for _, a := range s.options.Access.Accounts() {
		of := policiesOf(a)
		if strings.Contains(of.Subject, subject) && of.has(resource) {
			list = append(list, of)
		}
	}
	body, err := jsonBody(list)
	return answer{body: body}, err
}

// policies are what an account may do as tools show it.
type policies struct {
	Policies []policy `json:"policies"`
	Subject  string   `json:"subject"`
}

type policy struct {
	Entries []policyEntry `json:"entries"`
	Type    string        `json:"policyType"`
}

type policyEntry struct {
	Actions  []string `json:"actions"`
	Decision string   `json:"decision"`
	Resource string   `json:"resource"`
}

func (p policies) has(resource string) bool {
	for _, one := range p.Policies {
		for _, e := range one.Entries {
			if strings.Contains(e.Resource, resource) {
				return true
			}
		}
	}
	return resource == ""
}

func policiesOf(a acl.Account) policies {
	entries := []policyEntry{}
	add := func(kind string, patterns []string, action string) {
		for _, p := range patterns {
			entries = append(entries, policyEntry{[]string{action}, "Allow", kind + p})
		}
	}
	if a.Admin {
		add("", []string{"*"}, "All")
	}
	add("Topic:", a.Publish, "Pub")
	add("Topic:", a.Subscribe, "Sub")
	add("Group:", a.Groups, "Sub")
	return policies{[]policy{{entries, "Custom"}}, subjectPrefix + a.AccessKey}
}
