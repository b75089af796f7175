package remoting

// Language is what a peer says that it is written in.
type Language byte

// The languages that have a number. Answers say LanguageJava: older Java clients fail on names that they do not know.
const (
	LanguageJava   Language = 0
	LanguageCPP    Language = 1
	LanguageDotnet Language = 2
	LanguagePython Language = 3
	LanguageOther  Language = 7
	LanguageHTTP   Language = 8
	LanguageGo     Language = 9
	LanguagePHP    Language = 10
	LanguageRust   Language = 12
	LanguageNodeJS Language = 13
)

var languages = [...]string{
	"JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS", "RUST", "NODE_JS",
}

// String is the language's name in a JSON header; one without a name is OTHER.
func (l Language) String() string {
	if int(l) < len(languages) {
		return languages[l]
	}
	return languages[LanguageOther]
}

// languageNamed takes a name that nobody has heard of for OTHER: what a peer is written in is no
// reason to turn it away.
func languageNamed(name []byte) Language {
	for i, known := range languages {
		if string(name) == known {
			return Language(i)
		}
	}
	return LanguageOther
}
