package hj212

// RequestAnswer puts the QnRtn of an Accepted answer into words. "1" means that the request is carried out.
func RequestAnswer(code string) string {
	return words(code, map[string]string{
		"1": "ready", "2": "the request was refused", "3": "the password (PW) is wrong", "4": "the number (MN) is wrong",
		"5": "the kind of system (ST) is wrong", "6": "the flag is wrong", "7": "the request number (QN) is wrong",
		"8": "the command (CN) is wrong", "9": "the checksum is wrong", "100": "unknown error",
	})
}

// ExecutionResult puts the ExeRtn of a Result into words. "1" means success.
func ExecutionResult(code string) string {
	return words(code, map[string]string{
		"1": "done", "2": "it failed, no reason given", "3": "the condition of the command is wrong", "4": "the communication timed out",
		"5": "the system is busy", "6": "the system is faulty", "100": "there are no data",
	})
}

func words(code string, known map[string]string) string {
	if text, ok := known[code]; ok {
		return text
	}
	return "code " + code
}

// FlagText says in plain words what a value's flag means, "" for a normal one. The digits are those
// that the edition of 2005 has for air.
func FlagText(flag string) string {
	switch flag {
	case "", "N", "n", "1", "3":
		return ""
	case "F", "f":
		return "the discharge or the monitor is stopped (flag F)"
	case "M", "m":
		return "under maintenance (flag M)"
	case "S", "s":
		return "the value was set by hand (flag S)"
	case "D", "d":
		return "analyser fault (flag D)"
	case "C", "c", "0":
		return "calibration (flag " + flag + ")"
	case "T", "t":
		return "above the measuring range (flag T)"
	case "B", "b":
		return "the logger does not reach the analyser (flag B)"
	case "P", "p":
		return "power failure (flag P)"
	case "2":
		return "abnormal value (flag 2)"
	}
	return "not a normal value (flag " + flag + ")"
}
