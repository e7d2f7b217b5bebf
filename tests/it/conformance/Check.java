import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.Key;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import javax.xml.crypto.AlgorithmMethod;
import javax.xml.crypto.KeySelector;
import javax.xml.crypto.KeySelectorException;
import javax.xml.crypto.KeySelectorResult;
import javax.xml.crypto.XMLCryptoContext;
import javax.xml.crypto.dsig.XMLSignature;
import javax.xml.crypto.dsig.XMLSignatureFactory;
import javax.xml.crypto.dsig.dom.DOMValidateContext;
import javax.xml.crypto.dsig.keyinfo.KeyInfo;
import javax.xml.crypto.dsig.keyinfo.X509Data;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.ErrorHandler;
import org.xml.sax.SAXParseException;

/**
 * What the JDK's XML signatures say of many documents: reads the names of files, one a line, and
 * answers each with a line that is "ok", or "no" and why. The argument is the PEM file of the anchor.
 */
public final class Check {
    private static final String XADES = "http://uri.etsi.org/01903/v1.3.2#";

    private final X509Certificate anchor;
    private final XMLSignatureFactory signatures = XMLSignatureFactory.getInstance("DOM");
    private final DocumentBuilder builder;

    private Check(X509Certificate anchor) throws Exception {
        this.anchor = anchor;
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
        builder = factory.newDocumentBuilder();
        builder.setErrorHandler(new ErrorHandler() {
            public void warning(SAXParseException e) {}

            public void error(SAXParseException e) throws SAXParseException {
                throw e;
            }

            public void fatalError(SAXParseException e) throws SAXParseException {
                throw e;
            }
        });
    }

    public static void main(String[] arguments) throws Exception {
        X509Certificate anchor;
        try (InputStream in = new FileInputStream(arguments[0])) {
            anchor = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
        Check check = new Check(anchor);
        BufferedReader names = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder answers = new StringBuilder();
        for (String name = names.readLine(); name != null; name = names.readLine()) {
            answers.append(check.answer(name)).append('\n');
        }
        System.out.print(answers);
    }

    private String answer(String name) {
        try (InputStream in = new FileInputStream(name)) {
            return validates(builder.parse(in)) ? "ok" : "no";
        } catch (Exception | StackOverflowError e) {
            return ("no " + e).replaceAll("\\s+", " ");
        }
    }

    private boolean validates(Document document) throws Exception {
        Element root = document.getDocumentElement();
        for (String name : List.of("Id", "ID", "id")) {
            if (root.hasAttributeNS(null, name)) {
                root.setIdAttributeNS(null, name, true);
            }
        }
        if (root.hasAttributeNS("http://www.w3.org/XML/1998/namespace", "id")) {
            root.setIdAttributeNS("http://www.w3.org/XML/1998/namespace", "id", true);
        }
        NodeList properties = document.getElementsByTagNameNS(XADES, "SignedProperties");
        for (int i = 0; i < properties.getLength(); i++) {
            Element element = (Element) properties.item(i);
            if (element.hasAttributeNS(null, "Id")) {
                element.setIdAttributeNS(null, "Id", true);
            }
        }
        NodeList found = document.getElementsByTagNameNS(XMLSignature.XMLNS, "Signature");
        if (found.getLength() != 1) {
            return false;
        }
        DOMValidateContext context = new DOMValidateContext(new Trusted(), found.item(0));
        return signatures.unmarshalXMLSignature(context).validate(context);
    }

    /** The key of a certificate of the signature that leads to the anchor. */
    private final class Trusted extends KeySelector {
        @Override
        public KeySelectorResult select(
                KeyInfo info, Purpose purpose, AlgorithmMethod method, XMLCryptoContext context)
                throws KeySelectorException {
            List<X509Certificate> sent = new ArrayList<>();
            for (Object part : info == null ? List.of() : info.getContent()) {
                if (part instanceof X509Data) {
                    for (Object item : ((X509Data) part).getContent()) {
                        if (item instanceof X509Certificate) {
                            sent.add((X509Certificate) item);
                        }
                    }
                }
            }
            for (X509Certificate certificate : sent) {
                if (leads(certificate, sent)) {
                    Key key = certificate.getPublicKey();
                    return () -> key;
                }
            }
            throw new KeySelectorException("no certificate leads to the anchor");
        }
    }

    private boolean leads(X509Certificate certificate, List<X509Certificate> sent) {
        try {
            X509CertSelector target = new X509CertSelector();
            target.setCertificate(certificate);
            PKIXBuilderParameters parameters =
                    new PKIXBuilderParameters(Set.of(new TrustAnchor(anchor, null)), target);
            parameters.setRevocationEnabled(false);
            parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(sent)));
            CertPathBuilder.getInstance("PKIX").build(parameters);
            return true;
        } catch (Exception e) {
            return false;
        }
    }
}
